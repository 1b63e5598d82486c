internal import CZlib

/// gzip in one go, for texts that are in memory anyway.
public enum Gzip {
    /// - Parameter level: 1 (quickest) to 9 (smallest). JSON shrinks to about a tenth at 1 already.
    public static func compress(_ bytes: some Collection<UInt8>, level: Int = 1) throws(GzipError) -> [UInt8] {
        // On the heap because zlib keeps a pointer back to it.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        defer { stream.deallocate() }
        guard czlib_deflate_init(stream, Int32(level), 15 + 16) == Z_OK else { throw .memory }
        defer { deflateEnd(stream) }
        var input = Array(bytes)
        // deflateBound: enough for all of it in a single call to deflate with Z_FINISH.
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

    /// Throws ``GzipError`` when `bytes` is no whole gzip stream. The caller vouches for the size of what comes out.
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
