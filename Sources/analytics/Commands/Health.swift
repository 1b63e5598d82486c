internal import ArgumentParser
internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a running service whether it is ready; ends with 1 when it is not.",
        discussion: "For container health checks: the image holds no curl.")

    @Option(help: "The service's address; by default this machine at OPERATIONS_PORT, or PORT where that is not set.")
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
            throw CommandFailure("\(base) does not answer: \(error)")
        }
    }
}
