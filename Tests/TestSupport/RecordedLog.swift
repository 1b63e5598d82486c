package import Logging
internal import Synchronization

/// What a logger was given.
package final class RecordedLog: Sendable {
    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append((event.level, "\(event.message) \(event.metadata ?? [:])")) }
        }
    }

    private let lines = Mutex<[(level: Logger.Level, text: String)]>([])

    package init() {}

    package var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    package func contains(_ words: String) -> Bool { lines.withLock { $0.contains { $0.text.contains(words) } } }

    package var texts: [String] { lines.withLock { $0.map(\.text) } }

    /// Warnings and errors.
    package var warnings: [String] { lines.withLock { lines in lines.filter { $0.level >= .warning }.map(\.text) } }
}
