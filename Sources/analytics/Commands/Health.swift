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

    func run() async throws {
        let settings = try await CommandSettings.read()
        let base = url ?? "http://127.0.0.1:\(settings.server.operations?.port ?? settings.server.port)"
        do {
            let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: base + "/health/ready"), timeout: .seconds(5))
            print(String(buffer: try await response.body.collect(upTo: 64 * 1024)))
            if response.status != .ok { throw ExitCode(1) }
        } catch let error as ExitCode {
            throw error
        } catch {
            throw CommandFailure("no response from \(base): \(error)")
        }
    }
}
