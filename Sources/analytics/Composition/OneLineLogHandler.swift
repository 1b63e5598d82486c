internal import Logging

/// Keeps each log event on one line, including text of clients, drivers and brokers: messages and metadata are written as ``TerminalText``
/// of at most `limit` characters per value.
struct OneLineLogHandler<Base: LogHandler>: LogHandler {
    static var limit: Int { 2_000 }

    private var base: Base
    /// As it came: most loggers carry metadata and write nothing, so it is escaped when something is written.
    var metadata: Logger.Metadata

    init(_ base: Base) {
        self.base = base
        metadata = base.metadata
        self.base.metadata = [:]
    }

    var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var event = event
        event.message = "\(Self.printable(event.message.description))"
        var metadata = metadata.merging(event.metadata ?? [:]) { $1 }
        // The base handler would write the error unescaped.
        if let error = event.error { metadata["error"] = "\(error)" }
        event.error = nil
        event.metadata = metadata.isEmpty ? nil : Self.printable(metadata)
        base.log(event: event)
    }

    private static func printable(_ metadata: Logger.Metadata) -> Logger.Metadata {
        metadata.reduce(into: [:]) { $0[printable($1.key)] = printable($1.value) }
    }

    private static func printable(_ value: Logger.Metadata.Value) -> Logger.Metadata.Value { .string(printable(value.description)) }

    private static func printable(_ text: String) -> String { TerminalText.printable(text, limit: limit) }
}
