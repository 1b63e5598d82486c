internal import CMalloc

/// glibc's malloc, told to give memory back.
enum MemoryAllocator {
    /// By default glibc raises two thresholds to the largest block that was ever freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD): larger
    /// blocks no longer go back to the system when they are freed, and each thread's arena keeps up to 64 MiB at its end. A few large
    /// flushes, each on another thread, then cost some hundred MB for good. With a value set, neither moves.
    static func limitRetention() {
        mallopt(M_MMAP_THRESHOLD, 256 << 10)
        mallopt(M_TRIM_THRESHOLD, 1 << 20)
    }
}
