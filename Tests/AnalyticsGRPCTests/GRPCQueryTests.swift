import AnalyticsJSON
import GRPCCore
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore
@testable import AnalyticsGRPC

/// What the fields of questions and answers mean. It is noon of 2026-03-01.
@Suite struct GRPCQueryTests {
    private let rig = GRPCRig()

    private func ask(
        _ change: (inout Analytics_TimeseriesRequest) -> Void, _ desk: ServiceDesk? = nil
    ) async throws -> Analytics_TimeseriesResponse {
        var request = Analytics_TimeseriesRequest()
        (request.selection.from, request.selection.to) = ("2026-02-28T00:00:00Z", "2026-03-02T00:00:00Z")
        change(&request)
        return try await QueryService(desk: desk ?? rig.desk())
            .getTimeseries(request: ServerRequest(metadata: [:], message: request), context: GRPCRig.context("M")).message
    }

    private func top(_ change: (inout Analytics_TopNRequest) -> Void, _ desk: ServiceDesk? = nil) async throws -> Analytics_TopNResponse {
        var request = Analytics_TopNRequest()
        (request.selection.from, request.selection.to) = ("2026-02-28T00:00:00Z", "2026-03-02T00:00:00Z")
        change(&request)
        return try await QueryService(desk: desk ?? rig.desk())
            .getTopN(request: ServerRequest(metadata: [:], message: request), context: GRPCRig.context("M")).message
    }

    private func funnel(_ type: String = "view", _ desk: ServiceDesk? = nil) async throws -> Analytics_FunnelResponse {
        var request = Analytics_FunnelRequest()
        request.steps = [type, "order"].map { type in
            var step = Analytics_EventPattern()
            step.types = [type]
            return step
        }
        return try await QueryService(desk: desk ?? rig.desk())
            .getFunnel(request: ServerRequest(metadata: [:], message: request), context: GRPCRig.context("M")).message
    }

    private func store() async throws {
        let rows: [(type: String, source: String, hours: Int, data: String, user: String?)] = [
            ("view", "web", 1, #"{"plan":"pro","n":1}"#, "ann"), ("view", "web", 2, #"{"plan":"pro","n":2}"#, "bob"),
            ("view", "app", 30, #"{"plan":7}"#, "ann"), ("order", "web", 0, #"{"plan":true}"#, "ann"), ("robot", "web", 1, "{}", nil),
        ]
        try await rig.process(
            rows.enumerated().map { index, row in
                var event = Event(
                    project: Project.default, id: "\(index)", type: row.type, source: row.source,
                    timestamp: noon - .seconds(row.hours * 3_600),
                    data: JSONText(normalised: row.data), receivedAt: noon, ingestID: "r:\(index)")
                (event.userId, event.anonymousId, event.correlationId) = (row.user, index == 2 ? "device" : nil, index == 3 ? "trace" : nil)
                let context = row.type == "robot" ? JSONText(normalised: #"{"bot":true}"#) : nil
                return StoredEvent(event: event, processedAt: noon, context: context, fingerprint: 0)
            })
    }

    @Test func `a series has a point for each bucket, and is about a range`() async throws {
        try await store()
        let days = ["2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"]
        let events = try await ask { _ in }
        #expect(events.points.map(\.time) == days && events.points.map(\.value) == [1, 3] && events.total == 4)
        #expect(events.series.isEmpty && !events.hasOther)
        let range = events.range
        #expect([range.from, range.to, range.timeZone] == [days[0], "2026-03-02T00:00:00Z", "UTC"])
        #expect(range.asOf == "2026-03-01T12:00:00Z" && range.incompleteFrom == days[1])
        let users = try await ask { $0.metric = "users" }
        #expect(users.points.map(\.value) == [1, 2] && users.total == 2)
        let mean = try await ask { $0.metric = "avg(data.n)" }
        #expect(mean.points.map(\.hasValue) == [false, true] && mean.points.last?.value == 1.5 && mean.total == 1.5)
        let hours = try await ask { ($0.interval, $0.selection.timeZone) = ("hour", "Europe/Berlin") }
        #expect(hours.points.count == 48 && hours.points.first?.time == "2026-02-28T01:00:00+01:00")
        #expect(try await ask { $0.selection.to = "2026-03-01T00:00:00Z" }.range.incompleteFrom.isEmpty)
    }

    @Test func `series are those of groups, the others are in one`() async throws {
        try await store()
        let groups = try await ask { ($0.groupBy, $0.limit) = ("data.plan", 1) }
        #expect(groups.points.isEmpty && groups.series.map(\.key) == ["pro"] && groups.total == 4)
        #expect(groups.series.first?.points.map(\.value) == [0, 2] && groups.series.first?.total == 2)
        #expect(groups.hasOther && groups.other.points.map(\.value) == [1, 1] && groups.other.total == 2)
        let all = try await ask { ($0.groupBy, $0.selection.includeBots) = ("data.plan", true) }
        #expect(Set(all.series.map { $0.hasKey ? $0.key : "none" }) == ["pro", "7", "true", "none"] && !all.hasOther)
        let alone = await #expect(throws: RPCError.self) { try await ask { $0.limit = 1 } }
        #expect(alone?.code == .invalidArgument)
    }

    @Test func `a top has n items, by type where nothing is named`() async throws {
        try await store()
        let one = try await top { $0.n = 1 }
        #expect(one.items.map(\.key) == ["view"] && one.items.first?.value == 3 && one.items.first?.share == 0.75)
        #expect(one.total == 4 && one.other == 1 && one.range.from == "2026-02-28T00:00:00Z" && one.range.asOf == "2026-03-01T12:00:00Z")
        let usual = try await top { _ in }
        #expect(usual.items.map(\.key) == ["view", "order"] && usual.other == 0)
        let users = try await top { ($0.metric, $0.dimension) = ("users", "source") }
        #expect(users.items.map(\.key) == ["web", "app"] && users.items.map(\.value) == [2, 1] && users.total == 2)
        let plans = try await top { ($0.dimension, $0.selection.includeBots) = ("data.plan", true) }
        #expect(plans.items.contains { !$0.hasKey && $0.value == 1 } && plans.items.count == 4)
        let negative = await #expect(throws: RPCError.self) { try await top { $0.n = -1 } }
        #expect(negative?.code == .invalidArgument)
    }

    @Test func `a selection is what its fields say`() async throws {
        try await store()
        var filter = Analytics_DataFilter()
        (filter.path, filter.values) = ("plan", ["pro", "7"])
        let cases: [(total: Double, change: (inout Analytics_Selection) -> Void)] = [
            (3, { $0.types = ["view"] }), (4, { $0.types = ["view", "order"] }), (3, { $0.sources = ["web"] }),
            (1, { $0.userIds = ["bob"] }), (1, { $0.anonymousIds = ["device"] }), (1, { $0.correlationIds = ["trace"] }),
            (3, { $0.data = [filter] }), (5, { $0.includeBots = true }), (3, { $0.from = "2026-03-01T00:00:00Z" }),
            (1, { $0.to = "2026-03-01T00:00:00Z" }),
        ]
        for (index, (total, change)) in cases.enumerated() {
            #expect(try await ask { change(&$0.selection) }.total == total, "\(index)")
            #expect(try await top { change(&$0.selection) }.total == total, "\(index)")
        }
        let desk = try rig.desk()
        #expect(try await ask({ $0.metric = "users" }, desk).total == 2)
        try await rig.process([
            StoredEvent(
                event: Event(
                    project: Project.default, id: "new", type: "view", source: "web", timestamp: noon, userId: "cat", receivedAt: noon,
                    ingestID: "r:new"), processedAt: noon, context: nil, fingerprint: 0)
        ])
        #expect(try await ask({ $0.metric = "users" }, desk).total == 2)
        #expect(try await ask({ ($0.metric, $0.selection.maxAgeSeconds) = ("users", 0) }, desk).total == 3)
    }

    @Test func `a funnel and a retention are asked as JSON has them`() {
        var pattern = Analytics_EventPattern()
        var filter = Analytics_DataFilter()
        (filter.path, filter.values) = ("a.b", ["1", "x"])
        (pattern.types, pattern.data) = (["t", "u"], [filter])
        var selection = Analytics_Selection()
        (selection.from, selection.to, selection.timeZone, selection.maxAgeSeconds) = ("f", "t", "z", 0)
        (selection.types, selection.sources, selection.userIds) = (["1"], ["2"], ["3"])
        (selection.anonymousIds, selection.correlationIds, selection.data, selection.includeBots) = (["4"], ["5"], [filter], true)
        let data = #""data":{"a.b":["1","x"]}"#
        let rest =
            #""from":"f","to":"t","tz":"z","bots":"include","maxAge":0,"filters":{"types":["1"],"sources":["2"],"userIds":["3"],"#
            + #""anonymousIds":["4"],"correlationIds":["5"],\#(data)}}"#
        var funnel = Analytics_FunnelRequest()
        (funnel.steps, funnel.order, funnel.windowSeconds, funnel.groupBy, funnel.limit) = ([pattern], "any", 9, "type", 3)
        var exclusion = Analytics_FunnelExclusion()
        (exclusion.events, exclusion.afterStep, exclusion.beforeStep) = (pattern, 1, 2)
        (funnel.exclusions, funnel.selection) = ([exclusion], selection)
        let own = #""types":["t","u"],\#(data)"#
        #expect(
            String(decoding: QuestionText.funnel(funnel), as: UTF8.self)
                == #"{"steps":[{\#(own)}],"order":"any","windowSeconds":9,"groupBy":"type","limit":3,"exclusions":[{\#(own),"afterStep":1,"beforeStep":2}],"#
                + rest)
        var retention = Analytics_RetentionRequest()
        (retention.first, retention.returning, retention.firstEver) = (pattern, pattern, false)
        (retention.interval, retention.periods, retention.mode, retention.selection) = ("week", 2, "on", selection)
        #expect(
            String(decoding: QuestionText.retention(retention), as: UTF8.self)
                == #"{"first":{\#(own)},"returning":{\#(own)},"firstEver":false,"interval":"week","periods":2,"mode":"on","# + rest)
        #expect(String(decoding: QuestionText.retention(.init()), as: UTF8.self) == #"{"filters":{}}"#)
        #expect(String(decoding: QuestionText.funnel(.init()), as: UTF8.self) == #"{"steps":[],"filters":{}}"#)
    }

    // MARK: Who asks, and for how much

    @Test func `credentials have their scope and their project`() async throws {
        let writer = try rig.desk(access: FixedAccess(project: "shop", scopes: [.write]))
        let reader = try rig.desk(access: FixedAccess(project: "shop", scopes: [.read]))
        for ask in [
            { _ = try await self.ask({ _ in }, writer) }, { _ = try await self.top({ _ in }, writer) },
            { _ = try await self.funnel("a", writer) },
        ]
            as [() async throws -> Void]
        {
            let refused = await #expect(throws: RPCError.self) { try await ask() }
            #expect(refused?.code == .permissionDenied)
        }
        let refused = await #expect(throws: RPCError.self) { try await rig.send([GRPCRig.event("a")], to: reader) }
        #expect(refused?.code == .permissionDenied && rig.broker.bodies.isEmpty)
        #expect(try await rig.send([GRPCRig.event("a")], to: writer).accepted == 1)
        #expect(try rig.broker.bodies.flatMap { try EnvelopeDecoder().decode($0).events.map(\.project) } == ["shop"])
        try await store()
        #expect(try await ask({ _ in }, reader).total == 0)
    }

    @Test func `an answer for which there is no room is refused, and so is a question that is too large`() async throws {
        try await store()
        let full = try rig.desk { $0.maximumAnswerBytesInMemory = 16 }
        for ask in [
            { _ = try await self.ask({ _ in }, full) }, { _ = try await self.top({ _ in }, full) },
            { _ = try await self.funnel("a", full) },
        ]
            as [() async throws -> Void]
        {
            let refused = await #expect(throws: RPCError.self) { try await ask() }
            #expect(
                refused?.code == .unavailable && refused.map { Array($0.metadata[stringValues: "problem-code"]) } == ["too_many_answers"])
        }
        #expect(try await funnel(String(repeating: "x", count: 60_000)).steps.count == 2)
        let large = await #expect(throws: RPCError.self) { try await funnel(String(repeating: "x", count: 70_000)) }
        #expect(large?.code == .invalidArgument && large.map { Array($0.metadata[stringValues: "problem-code"]) } == ["body_too_large"])
    }

    @Test(
        arguments: [
            (.invalidParameter, .invalidArgument), (.bodyTooLarge, .invalidArgument), (.insufficientScope, .permissionDenied),
            (.userNotFound, .notFound), (.tooManyErasures, .failedPrecondition), (.storeUnavailable, .unavailable),
            (.tooManyAnswers, .unavailable), (.queryTimeout, .deadlineExceeded), (.queryTooLarge, .resourceExhausted),
            (.internal, .internalError),
        ] as [(ProblemCode, RPCError.Code)])
    func `what goes wrong has a status of its own, with its code and its text`(code: ProblemCode, status: RPCError.Code) {
        let error = RPCError(DeskFailure(Problem(code, "what to do")))
        #expect(error.code == status && error.message == "what to do")
        #expect(Array(error.metadata[stringValues: "problem-code"]) == [code.rawValue])
    }

    // MARK: Health

    @Test(arguments: [(true, .serving), (false, .notServing)] as [(Bool, Grpc_Health_V1_HealthCheckResponse.ServingStatus)])
    func `health says of the whole and of each service whether it is ready`(
        isReady: Bool, status: Grpc_Health_V1_HealthCheckResponse.ServingStatus
    ) async throws {
        let readiness = Readiness([.init(name: "store", health: isReady ? .up : .down("away"))])
        let health = HealthService(desk: try rig.desk(readiness: readiness), services: GRPCServerService.names)
        func check(_ service: String) async throws -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
            var request = Grpc_Health_V1_HealthCheckRequest()
            request.service = service
            return try await health.check(request: ServerRequest(metadata: [:], message: request), context: GRPCRig.context("M")).message
                .status
        }
        for service in [""] + GRPCServerService.names { #expect(try await check(service) == status) }
        let unknown = await #expect(throws: RPCError.self) { try await check("analytics.Nothing") }
        #expect(unknown?.code == .notFound)
    }
}
