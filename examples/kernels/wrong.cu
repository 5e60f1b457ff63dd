// Wrong on purpose: the sums of rows as in row_sums.cu, without the barrier before the threads read
// what others wrote to shared memory. In some orders of the threads the result is right all the same.

template <class T>
__global__ void row_sums(const T* x, T* sums, int columns) {
    __shared__ T partial[256];
    int thread = threadIdx.x;

    T sum = 0;
    for (int column = thread; column < columns; column += blockDim.x)
        sum += x[blockIdx.x * (long long)columns + column];
    partial[thread] = sum;

    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (thread < half) partial[thread] += partial[thread + half];
        __syncthreads();
    }
    if (thread == 0) sums[blockIdx.x] = partial[0];
}
