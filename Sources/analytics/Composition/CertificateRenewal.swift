internal import AnalyticsAPI
internal import AnalyticsCore
internal import Logging
internal import NIOPosix
internal import ServiceLifecycle
internal import UnixSignals

/// Reads the certificate again on SIGHUP, and when its files change. Warns when it expires.
struct CertificateRenewal: Service {
    /// Between two looks at the files.
    private static let interval: Duration = .seconds(10)

    var certificate: ServerCertificate
    var logger: Logger

    /// Throws a ``SettingsError`` if a file cannot be used.
    static func open(_ files: (certificate: String, key: String)?) throws -> ServerCertificate? {
        guard let files else { return nil }
        do throws(ServerCertificate.Failure) {
            return try ServerCertificate(certificate: files.certificate, key: files.key)
        } catch {
            switch error.file {
            case .certificate:
                throw SettingsError(
                    "TLS_CERTIFICATE", files.certificate,
                    allowed: "a PEM file with the service's certificate and those of its issuers (\(error.reason))")
            case .key:
                throw SettingsError(
                    "TLS_KEY", files.key, allowed: "a PEM file with the key of TLS_CERTIFICATE, without a password (\(error.reason))")
            }
        }
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        tell("TLS certificate in use")
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    var watch = ExpiryWatch()
                    warn(&watch)
                    while (try? await Task.sleep(for: Self.interval)) != nil {
                        await reload()
                        warn(&watch)
                    }
                }
                for await _ in signals { await reload(evenIfSeen: true) }
                group.cancelAll()
            }
        }
    }

    private func reload(evenIfSeen: Bool = false) async {
        // Files block: not on Swift's pool.
        let reloading = try? await NIOThreadPool.singleton.runIfActive { [certificate] in certificate.reload(evenIfSeen: evenIfSeen) }
        switch reloading {
        case .exchanged: tell("TLS certificate read")
        case .refused(let failure):
            let setting = failure.file == .key ? "TLS_KEY" : "TLS_CERTIFICATE"
            logger.warning(
                "TLS certificate cannot be read, so the earlier one stays in use",
                metadata: ["setting": "\(setting)", "reason": "\(failure.reason)"])
        case .unchanged, nil: break
        }
    }

    private func tell(_ message: Logger.Message) { logger.notice(message, metadata: expires(certificate.expiry)) }

    private func warn(_ watch: inout ExpiryWatch) {
        let expiry = certificate.expiry
        switch watch.stage(of: expiry, at: WallClock.system.now()) {
        case .expired: logger.warning("TLS certificate has expired, and stays in use", metadata: expires(expiry))
        case .expiresSoon: logger.warning("TLS certificate expires in less than 7 days", metadata: expires(expiry))
        case nil: break
        }
    }

    private func expires(_ expiry: Timestamp?) -> Logger.Metadata { ["expires": "\(expiry?.rfc3339 ?? "unknown")"] }
}

/// Which certificate was warned of. Pure.
struct ExpiryWatch {
    enum Stage {
        case expiresSoon
        case expired
    }

    private var told: (expiry: Timestamp, stage: Stage)?

    /// The stage that the certificate in use has reached; `nil` if there is nothing to say, or if it was said.
    mutating func stage(of expiry: Timestamp?, at now: Timestamp) -> Stage? {
        guard let expiry, expiry < now + .seconds(7 * 86_400) else { return nil }
        let stage: Stage = expiry <= now ? .expired : .expiresSoon
        if let told, told.expiry == expiry, told.stage == stage { return nil }
        told = (expiry, stage)
        return stage
    }
}
