public import AnalyticsCore
internal import CMaxMind

/// A file in MaxMind's format with the countries of addresses. It is memory-mapped. To update it, replace the file by renaming and
/// restart the service.
public final class GeoIPDatabase: CountryDatabase {
    // Never written after `init`, and the library's look-ups share no state.
    private nonisolated(unsafe) let handle: OpaquePointer

    /// One line on why a file cannot be used.
    public struct Failure: Error {
        public var message: String
    }

    public init(path: String) throws(Failure) {
        var failure = [CChar](repeating: 0, count: 256)
        guard let handle = cmaxmind_open(path, &failure, failure.count) else {
            throw Failure(message: String(decoding: failure.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        self.handle = handle
    }

    deinit { cmaxmind_close(handle) }

    public func country(of address: ClientAddress) -> Country? {
        var code: [CChar] = [0, 0]
        let bytes = address.networkBytes
        guard cmaxmind_country(handle, bytes, bytes.count, &code) else { return nil }
        return Country(String(decoding: code.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
