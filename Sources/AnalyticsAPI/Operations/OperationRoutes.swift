internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Liveness, readiness and metrics.
struct OperationRoutes: Sendable {
    let readiness: @Sendable () async -> Readiness
    let metrics: (@Sendable () -> [UInt8])?
    /// Decides who sees the metrics of projects; `nil`: every caller.
    let admission: Admission?

    var routes: [Route] {
        [
            Route(open: .get, "/health/live", live), Route(open: .get, "/health/ready", ready),
            Route(open: .get, "/metrics", toOtherSites: false, scrape),
        ]
    }

    private func live(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        .json(headers: [.cacheControl: "no-store"]) { $0.member("status", "live") }
    }

    private func ready(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let readiness = await readiness()
        guard readiness.isReady else {
            let down = readiness.dependencies.filter { $0.isRequired && $0.health != .up }.map(\.name).joined(separator: ", ")
            throw Problem(.notReady, "Down: \(down). The service's log says why.") { $0.members(readiness) }
        }
        return .json(headers: [.cacheControl: "no-store"]) { writer in
            writer.member("status", "ready")
            writer.members(readiness)
        }
    }

    private func scrape(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        guard let metrics else { throw Problem(.notFound, "Metrics are switched off (ENABLE_METRICS=false).") }
        let showsAll = await admission?.showsAllProjects(to: request, context) ?? true
        let text = showsAll ? metrics() : Self.withoutProjects(metrics())
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: text)))
    }

    /// The lines whose series have no label `project`. A quote in a label's value is escaped, so no value hides such a label.
    static func withoutProjects(_ text: [UInt8]) -> [UInt8] {
        let label = Array("project=\"".utf8)
        var kept: [UInt8] = []
        kept.reserveCapacity(text.count)
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let isOfProject = line.indices.contains { index in
                (line[index] == UInt8(ascii: "{") || line[index] == UInt8(ascii: ",")) && line[(index + 1)...].starts(with: label)
            }
            guard !isOfProject else { continue }
            kept += line
            kept.append(UInt8(ascii: "\n"))
        }
        return kept
    }
}

extension JSONWriter {
    /// Leaves out the failure reasons: they name hosts and ports, and the route is public.
    fileprivate mutating func members(_ readiness: Readiness) {
        key("dependencies")
        beginObject()
        for dependency in readiness.dependencies {
            key(dependency.name)
            beginObject()
            member("status", dependency.health == .up ? "up" : "down")
            key("required")
            boolean(dependency.isRequired)
            endObject()
        }
        endObject()
    }
}
