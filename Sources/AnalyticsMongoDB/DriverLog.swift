import CMongoC
import Logging
import Synchronization

/// libmongoc, set up once a process: what it would write to stderr by itself goes to swift-log.
enum Driver {
    private static let logger = Mutex<Logger?>(nil)

    private static let initialised: Void = {
        mongoc_init()
        mongoc_log_set_handler({ level, domain, message, _ in Driver.log(level, domain, message) }, nil)
    }()

    static func start(logger: Logger) {
        self.logger.withLock { $0 = $0 ?? logger }
        initialised
    }

    private static func log(_ level: mongoc_log_level_t, _ domain: UnsafePointer<CChar>?, _ message: UnsafePointer<CChar>?) {
        guard let logger = logger.withLock({ $0 }) else { return }
        let level: Logger.Level =
            switch level {
            // An outage is expected, and whoever called is told: nothing of the driver's is an `error` here.
            case MONGOC_LOG_LEVEL_ERROR, MONGOC_LOG_LEVEL_CRITICAL, MONGOC_LOG_LEVEL_WARNING: .warning
            case MONGOC_LOG_LEVEL_MESSAGE, MONGOC_LOG_LEVEL_INFO: .info
            case MONGOC_LOG_LEVEL_DEBUG: .debug
            default: .trace
            }
        let metadata: Logger.Metadata = [
            "domain": "\(domain.map { String(cString: $0) } ?? "")", "text": "\(message.map { String(cString: $0) } ?? "")",
        ]
        logger.log(level: level, "The MongoDB driver says something.", metadata: metadata)
    }
}
