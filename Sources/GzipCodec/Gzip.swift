internal import CZlib

/// Compression and decompression of whole texts in memory.
public enum Gzip {
    /// - Parameter level: 1 (fastest) to 9 (smallest). Level 1 reduces JSON to about a tenth.
    public static func compress(_ bytes: some Collection<UInt8>, level: Int = 1) throws(GzipError) -> [UInt8] {
        // On the heap because zlib keeps a pointer to it.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        defer { stream.deallocate() }
        guard czlib_deflate_init(stream, Int32(level), 15 + 16) == Z_OK else { throw .memory }
        defer { deflateEnd(stream) }
        var input = Array(bytes)
        // deflateBound: enough for the whole output of one call of deflate with Z_FINISH.
        let bound = Int(deflateBound(stream, uLong(input.count)))
        var status = Z_OK
        let output = [UInt8](unsafeUninitializedCapacity: bound) { buffer, written in
            input.withUnsafeMutableBufferPointer { source in
                stream.pointee.next_in = source.baseAddress
                stream.pointee.avail_in = uInt(source.count)
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = uInt(buffer.count)
                status = deflate(stream, Z_FINISH)
            }
            written = status == Z_STREAM_END ? bound - Int(stream.pointee.avail_out) : 0
        }
        guard status == Z_STREAM_END else { throw .memory }
        return output
    }

    /// Throws ``GzipError`` if `bytes` is not a whole gzip stream. The output is unbounded, so the caller must trust the input.
    public static func decompress(_ bytes: [UInt8]) throws -> [UInt8] {
        let inflater = try GzipInflater()
        var output: [UInt8] = []
        try bytes.withUnsafeBytes { input in
            try inflater.write(input) { output.append(contentsOf: $0) }
        }
        try inflater.finish()
        return output
    }
}
