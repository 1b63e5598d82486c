import AnalyticsCore
import CMongoShims
import Logging
import Synchronization

/// libmongoc, loaded and initialised on first use. Its messages go to swift-log instead of stderr.
enum Driver {
    static let library = "libmongoc-1.0.so.0"

    private static let logger = Mutex<Logger?>(nil)

    private static let loaded: Result<Void, StoreError> = {
        let loaded = load(library)
        if case .success = loaded {
            mongoc_init()
            mongoc_log_set_handler({ level, domain, message, _ in Driver.log(level, domain, message) }, nil)
        }
        return loaded
    }()

    /// Must be called before any function of libmongoc. Throws ``StoreError/Code/misconfigured`` if the library or one of its functions is
    /// missing.
    static func start() throws(StoreError) {
        try loaded.get()
    }

    /// Sets the logger for the driver's messages. The first call wins.
    static func log(to logger: Logger) {
        self.logger.withLock { $0 = $0 ?? logger }
    }

    static func load(_ library: String) -> Result<Void, StoreError> {
        var failure = [CChar](repeating: 0, count: 512)
        guard !cmongoc_load(library, &failure, failure.count) else { return .success(()) }
        let reason = String(decoding: failure.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return .failure(
            StoreError(.misconfigured, operation: "connect", "MongoDB's driver cannot be loaded (Debian: libmongoc-1.0-0): \(reason)"))
    }

    private static func log(_ level: mongoc_log_level_t, _ domain: UnsafePointer<CChar>?, _ message: UnsafePointer<CChar>?) {
        guard let logger = logger.withLock({ $0 }) else { return }
        let level: Logger.Level =
            switch level {
            // An outage is expected and the caller gets an error, so no driver message is logged as `error`.
            case MONGOC_LOG_LEVEL_ERROR, MONGOC_LOG_LEVEL_CRITICAL, MONGOC_LOG_LEVEL_WARNING: .warning
            case MONGOC_LOG_LEVEL_MESSAGE, MONGOC_LOG_LEVEL_INFO: .info
            case MONGOC_LOG_LEVEL_DEBUG: .debug
            default: .trace
            }
        let metadata: Logger.Metadata = [
            "domain": "\(domain.map { String(cString: $0) } ?? "")", "text": "\(message.map { String(cString: $0) } ?? "")",
        ]
        logger.log(level: level, "MongoDB driver message", metadata: metadata)
    }
}
