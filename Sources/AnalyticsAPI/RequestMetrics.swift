internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird
internal import Metrics
internal import Synchronization

/// Counts and times requests by method, route and status. Labels are bounded: the route is the pattern, and unknown methods are `other`. A
/// duration ends when the response is made, not when it is delivered.
struct RequestMetrics: RouterMiddleware {
    private let instruments: Instruments

    init(factory: any MetricsFactory) {
        instruments = Instruments(factory)
    }

    func handle(
        _ request: Request, context: APIRequestContext, next: (Request, APIRequestContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        instruments.inFlight.increment()
        defer { instruments.inFlight.decrement() }
        let response = try await next(request, context)
        let path = context.endpointPath ?? ""
        let key = Instruments.Key(
            method: Instruments.label(request.method), route: path.starts(withUTF8: "/") ? path : "unmatched", status: response.status.code)
        instruments.record(key, start.duration(to: .now))
        return response
    }
}

/// Keeps metric handles: making one is a look-up in the metrics backend.
private final class Instruments: Sendable {
    struct Key: Hashable {
        var method: String
        var route: String
        var status: Int
    }

    let inFlight: Meter
    private let factory: any MetricsFactory
    private let handles = Mutex<[Key: (count: Counter, duration: Timer)]>([:])

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        inFlight = MetricCatalogue.metrics.httpRequestsInFlight.makeMeter(factory: factory)
    }

    func record(_ key: Key, _ duration: Duration) {
        let (count, timer) = handles.withLock { handles in
            if let handles = handles[key] { return handles }
            let status = String(key.status)
            let made = (
                MetricCatalogue.metrics.httpRequests.make(key.method, key.route, status, factory: factory),
                MetricCatalogue.metrics.httpRequestDuration.makeTimer(key.route, status, factory: factory)
            )
            handles[key] = made
            return made
        }
        count.increment()
        let (seconds, attoseconds) = duration.components
        timer.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    static func label(_ method: HTTPRequest.Method) -> String {
        switch method {
        case .get, .head, .post, .put, .patch, .delete, .options: method.rawValue
        default: "other"
        }
    }
}
