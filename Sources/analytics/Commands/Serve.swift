internal import AnalyticsAPI
internal import AnalyticsCore
internal import AnalyticsGeoIP
internal import ArgumentParser
internal import Foundation
internal import Logging
internal import ServiceLifecycle

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the service: the API, the processor, or both.",
        discussion: "Any number of processes per role may run: the API has no state, and processors share the queue.")

    enum Role: String, ExpressibleByArgument, CaseIterable {
        case all
        case api
        case processor
    }

    @Option(help: "The role of this process: \(Role.allCases.map(\.rawValue).joined(separator: ", ")).")
    var role = Role.all

    func run() async throws {
        MemoryAllocator.limitRetention()
        let settings = try await CommandSettings.read()
        if role != .all, settings.backends.mongoURI == nil || settings.backends.rabbitURL == nil {
            throw SettingsError("--role \(role.rawValue) needs MONGODB_URI and RABBITMQ_URL: the embedded backends serve one process only")
        }
        let logger = Telemetry.logger(settings.logging)
        let metrics = Telemetry.metrics(isEnabled: settings.server.isMetricsEnabled)
        // A peer that closes the connection during a write causes an error of that write, not the end of the process: hiredis and
        // librabbitmq write without MSG_NOSIGNAL.
        signal(SIGPIPE, SIG_IGN)
        let descriptors = DescriptorLimit.raise()

        let countries = try Self.countries(settings.server.geoIPDatabase)
        let certificate = try CertificateRenewal.open(settings.server.tls)
        let backends = try await Backends.open(settings, role, logger: logger)
        logger.notice(
            "Starting",
            metadata: ["role": "\(role.rawValue)", "backends": "\(backends.summary)", "version": "\(BuildInfo.version)"])
        let service = ServiceAssembly(
            settings: settings, backends: backends, metrics: metrics, countries: countries, certificate: certificate,
            descriptors: descriptors, logger: logger, latch: AnonymousLatch(store: backends.store))
        try await service.run(role)
        logger.notice("Stopped")
    }

    private static func countries(_ path: String?) throws -> (any CountryDatabase)? {
        guard let path else { return nil }
        do throws(GeoIPDatabase.Failure) {
            return try GeoIPDatabase(path: path)
        } catch {
            throw SettingsError("GEOIP_DATABASE", path, allowed: "\(error.message)")
        }
    }
}
