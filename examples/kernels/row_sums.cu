// The sum of every row of a matrix, one block of threads for each row.
//
// A thread adds up every blockDim.x-th element of its row, then the threads add up their sums in
// shared memory, half as many of them at each step. blockDim.x is a power of 2, up to 256.

template <class T>
__global__ void row_sums(const T* x, T* sums, int columns) {
    __shared__ T partial[256];
    int thread = threadIdx.x;

    T sum = 0;
    for (int column = thread; column < columns; column += blockDim.x)
        sum += x[blockIdx.x * (long long)columns + column];
    partial[thread] = sum;
    __syncthreads();

    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (thread < half) partial[thread] += partial[thread + half];
        __syncthreads();
    }
    if (thread == 0) sums[blockIdx.x] = partial[0];
}
