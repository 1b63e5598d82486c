/// Why bytes are not a gzip stream (RFC 1952), or not a whole one.
public enum GzipError: Error, Equatable {
    /// Not gzip, or its checksum is wrong.
    case corrupt
    /// The input ends inside the stream.
    case truncated
    /// zlib has no memory.
    case memory
}
