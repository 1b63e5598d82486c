internal import Logging

/// Keeps each log event on one line, including text of clients, drivers and brokers: messages and metadata are written as ``TerminalText``
/// of at most `limit` characters per value.
struct OneLineLogHandler<Base: LogHandler>: LogHandler {
    static var limit: Int { 2_000 }

    private var base: Base

    init(_ base: Base) {
        self.base = base
    }

    var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = Self.printable(newValue) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: Self.printable(key)] }
        set { base[metadataKey: Self.printable(key)] = newValue.map(Self.printable) }
    }

    func log(event: LogEvent) {
        var event = event
        event.message = "\(Self.printable(event.message.description))"
        var metadata = event.metadata ?? [:]
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
