internal import CMalloc
internal import NIOCore

/// Makes glibc's malloc return memory to the system.
enum MemoryAllocator {
    /// By default glibc raises two thresholds to the largest block ever freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD): larger blocks
    /// no longer go back to the system when freed, and each thread's arena keeps up to 64 MiB at its end. A few large flushes on different
    /// threads then hold some hundred MB permanently. Setting the values fixes both thresholds.
    static func limitRetention() {
        mallopt(M_MMAP_THRESHOLD, 256 << 10)
        mallopt(M_TRIM_THRESHOLD, 1 << 20)
        // The default is 8 arenas per core, and each keeps what its threads have freed: a sixth of the memory of a fill, for no throughput.
        mallopt(M_ARENA_MAX, Int32(clamping: max(2, System.coreCount)))
    }
}
