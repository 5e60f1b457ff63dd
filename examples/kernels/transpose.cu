// The transpose of a matrix by tiles in shared memory, so that both the reads and the writes of a
// warp lie side by side. A block is 32 x 8 threads, each of which moves four elements of a tile.

template <class T>
__global__ void transpose(const T* x, T* out, int rows, int columns) {
    __shared__ T tile[32][33];  // a column more, so that the elements of a column lie in 32 banks
    int left = 32 * blockIdx.x, top = 32 * blockIdx.y;
    int i = threadIdx.x;

    for (int j = threadIdx.y; j < 32; j += blockDim.y)
        if (top + j < rows && left + i < columns)
            tile[j][i] = x[(top + j) * (long long)columns + left + i];
    __syncthreads();

    for (int j = threadIdx.y; j < 32; j += blockDim.y)
        if (left + j < columns && top + i < rows)
            out[(left + j) * (long long)rows + top + i] = tile[i][j];
}
