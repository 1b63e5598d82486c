internal import AnalyticsCore
internal import ArgumentParser
internal import Logging

enum CommandSettings {
    /// Throws a ``SettingsError``, whose one line is what the command then ends with.
    static func read() async throws -> Settings {
        try Settings(await .standard())
    }

    /// Runs a command on the store alone.
    static func withStore(_ body: (any Store, Settings, Logger) async throws -> Void) async throws {
        let settings = try await read()
        let logger = Telemetry.logger(settings.logging)
        let (store, shutdown) = try Backends.openStoreOnly(settings, logger: logger)
        do {
            try await store.prepare()
            try await RetentionNotice.log(settings, store, logger)
            try await body(store, settings, logger)
        } catch {
            await shutdown()
            throw error
        }
        await shutdown()
    }

    /// Runs a command on the broker alone.
    static func withBroker(_ body: (any Broker) async throws -> Void) async throws {
        let settings = try await read()
        let (broker, shutdown) = try Backends.openBrokerOnly(settings, logger: Telemetry.logger(settings.logging))
        do {
            try await body(broker)
        } catch {
            await shutdown()
            throw error
        }
        await shutdown()
    }
}

/// Ends a command with one line.
struct CommandFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}
