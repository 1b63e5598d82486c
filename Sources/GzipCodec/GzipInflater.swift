internal import CZlib

/// Decompresses a gzip stream as its bytes arrive, in pieces of at most 64 KiB. The receiver limits the size of the output by throwing.
/// Memory does not depend on the stream. One task at a time.
public final class GzipInflater {
    /// On the heap because zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let output: UnsafeMutableRawBufferPointer
    /// Between members: a file is a series of one or more members (RFC 1952, section 2.2).
    private var atMemberEnd = false
    private var started = false

    public init() throws(GzipError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        output = .allocate(byteCount: 64 * 1024, alignment: 16)
        // zlib.h, inflateInit2: 15 window bits, plus 16 to decode gzip only.
        guard czlib_inflate_init(stream, 15 + 16) == Z_OK else {
            stream.deallocate()
            output.deallocate()
            throw .memory
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        output.deallocate()
    }

    /// Decompresses `input` and passes on the output in order, in pieces that are valid only inside `receive`. Throws ``GzipError``, or the
    /// error of `receive`, which ends the decompression.
    public func write(_ input: UnsafeRawBufferPointer, _ receive: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard !input.isEmpty else { return }
        started = true
        // zlib does not write through next_in.
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress!.assumingMemoryBound(to: Bytef.self))
        stream.pointee.avail_in = uInt(input.count)
        defer { stream.pointee.next_in = nil }
        repeat {
            if atMemberEnd {
                guard stream.pointee.avail_in > 0 else { return }
                inflateReset(stream)
                atMemberEnd = false
            }
            try step(receive)
            // A full output buffer may mean that there is more output without further input.
        } while stream.pointee.avail_in > 0 || (stream.pointee.avail_out == 0 && !atMemberEnd)
    }

    private func step(_ receive: (UnsafeRawBufferPointer) throws -> Void) throws {
        stream.pointee.next_out = output.baseAddress!.assumingMemoryBound(to: Bytef.self)
        stream.pointee.avail_out = uInt(output.count)
        let status = inflate(stream, Z_NO_FLUSH)
        let count = output.count - Int(stream.pointee.avail_out)
        switch status {
        case Z_OK: break
        case Z_STREAM_END: atMemberEnd = true
        // No progress was possible: all input is consumed, or the output buffer was full exactly at its end.
        case Z_BUF_ERROR where stream.pointee.avail_in == 0: break
        case Z_MEM_ERROR: throw GzipError.memory
        default: throw GzipError.corrupt
        }
        if count > 0 { try receive(UnsafeRawBufferPointer(rebasing: output[..<count])) }
    }

    /// Call it after the last input. Throws if the stream is not at its end.
    public func finish() throws(GzipError) {
        guard started, atMemberEnd else { throw .truncated }
    }
}
