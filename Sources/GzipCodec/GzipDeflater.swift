internal import CZlib

/// Compresses bytes to one gzip stream as they arrive. One task at a time.
public final class GzipDeflater {
    /// On the heap because zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let output: UnsafeMutableBufferPointer<UInt8>

    public init(level: Int = 1) throws(GzipError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        output = .allocate(capacity: 64 * 1024)
        guard czlib_deflate_init(stream, Int32(level), 15 + 16) == Z_OK else {
            stream.deallocate()
            output.deallocate()
            throw .memory
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        output.deallocate()
    }

    /// Returns compressed bytes that are ready. With `flushes` (Z_SYNC_FLUSH) all written bytes can be decompressed from the output so far,
    /// even if the stream ends there.
    public func write(_ bytes: [UInt8], flushes: Bool = false) throws(GzipError) -> [UInt8] {
        try deflated(bytes, flushes ? Z_SYNC_FLUSH : Z_NO_FLUSH)
    }

    /// Returns the end of the stream. Further writes begin a new stream.
    public func finish() throws(GzipError) -> [UInt8] {
        let end = try deflated([], Z_FINISH)
        guard deflateReset(stream) == Z_OK else { throw .memory }
        return end
    }

    private func deflated(_ bytes: [UInt8], _ flush: Int32) throws(GzipError) -> [UInt8] {
        var (input, deflated) = (bytes, [UInt8]())
        var status = Z_OK
        input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = uInt(input.count)
            repeat {
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = uInt(output.count)
                status = deflate(stream, flush)
                deflated.append(contentsOf: output[..<(output.count - Int(stream.pointee.avail_out))])
                // zlib.h: a full output buffer may mean that there is more output. No progress (Z_BUF_ERROR) means that there was none.
            } while status == Z_OK && stream.pointee.avail_out == 0
            stream.pointee.next_in = nil
        }
        guard status == Z_OK || status == Z_BUF_ERROR || status == Z_STREAM_END else { throw .memory }
        return deflated
    }
}
