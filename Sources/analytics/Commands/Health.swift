internal import ArgumentParser
internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check whether a running service is ready; exits with 1 if not.",
        discussion: "For container health checks: the image has no curl.")

    @Option(help: "The service's address; by default this machine at OPERATIONS_PORT, or at PORT if that is not set.")
    var url: String?

    @OptionGroup var trust: TrustOption

    func run() async throws {
        let settings = try await CommandSettings.read()
        // OPERATIONS_PORT has no TLS.
        let local = settings.server.operations.map { "http://127.0.0.1:\($0.port)" } ?? settings.server.localAddress
        let base = url ?? local
        let configuration = try trust.configuration(isLocal: url == nil)
        do {
            let (status, text) = try await HTTPClient.withHTTPClient(configuration: configuration) { client in
                let response = try await client.execute(HTTPClientRequest(url: base + "/health/ready"), timeout: .seconds(5))
                return (response.status, String(buffer: try await response.body.collect(upTo: 64 * 1024)))
            }
            print(text)
            if status != .ok { throw ExitCode(1) }
        } catch let error as ExitCode {
            throw error
        } catch {
            throw CommandFailure("no response from \(base): \(error)")
        }
    }
}
