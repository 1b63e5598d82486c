internal import AnalyticsAPI
internal import AnalyticsCore
internal import AnalyticsJSON
internal import GRPCCore

/// Maps questions to those of the HTTP routes, and answers to messages. The routes validate them.
struct QueryService: Analytics_AnalyticsQuery.ServiceProtocol {
    let desk: ServiceDesk

    typealias Parameters = [(name: String, value: String)]

    func getTimeseries(
        request: ServerRequest<Analytics_TimeseriesRequest>, context: ServerContext
    ) async throws -> ServerResponse<Analytics_TimeseriesResponse> {
        let question = request.message
        var parameters = Self.parameters(question.selection)
        parameters += Self.given([("metric", question.metric), ("interval", question.interval), ("groupBy", question.groupBy)])
        if question.hasLimit { parameters.append(("limit", String(question.limit))) }
        return try await answering { () async throws(DeskFailure) in
            let answer = try await desk.timeseries(parameters, tenant: question.tenantID, .init(context, request.metadata))
            let (buckets, series) = answer.value
            var response = Analytics_TimeseriesResponse()
            response.range = .init(answer.range)
            if let total = series.total.double { response.total = total }
            if question.groupBy.isEmpty {
                response.points = series.series.first.map { Self.points(buckets, $0) } ?? []
            } else {
                response.series = series.series.map { Self.series(buckets, $0) }
                if let other = series.other { response.other = Self.series(buckets, other) }
            }
            return response
        }
    }

    func getTopN(
        request: ServerRequest<Analytics_TopNRequest>, context: ServerContext
    ) async throws -> ServerResponse<Analytics_TopNResponse> {
        let question = request.message
        var parameters = Self.parameters(question.selection)
        parameters += Self.given([("metric", question.metric), ("dimension", question.dimension.isEmpty ? "type" : question.dimension)])
        if question.n != 0 { parameters.append(("n", String(question.n))) }
        return try await answering { () async throws(DeskFailure) in
            let answer = try await desk.top(parameters, tenant: question.tenantID, .init(context, request.metadata))
            var response = Analytics_TopNResponse()
            response.range = .init(answer.range)
            response.items = answer.value.items.map { item in
                var message = Analytics_Item()
                if let key = item.key.text { message.key = key }
                if let value = item.value.double { message.value = value }
                if let share = answer.value.share(of: item.value) { message.share = share }
                return message
            }
            if let total = answer.value.total.double { response.total = total }
            if let other = answer.value.other.double { response.other = other }
            return response
        }
    }

    func getFunnel(
        request: ServerRequest<Analytics_FunnelRequest>, context: ServerContext
    ) async throws -> ServerResponse<Analytics_FunnelResponse> {
        let body = QuestionText.funnel(request.message)
        return try await answering { () async throws(DeskFailure) in
            let answer = try await desk.funnel(body, tenant: request.message.tenantID, .init(context, request.metadata))
            var response = Analytics_FunnelResponse()
            response.range = .init(answer.range)
            response.steps = Self.steps(answer.value.steps)
            response.groups = answer.value.groups.map { group in
                var message = Analytics_FunnelGroup()
                if let key = group.key.text { message.key = key }
                message.steps = Self.steps(group.steps)
                return message
            }
            if let other = answer.value.other { response.other.steps = Self.steps(other) }
            return response
        }
    }

    func getRetention(
        request: ServerRequest<Analytics_RetentionRequest>, context: ServerContext
    ) async throws -> ServerResponse<Analytics_RetentionResponse> {
        let body = QuestionText.retention(request.message)
        return try await answering { () async throws(DeskFailure) in
            let answer = try await desk.retention(body, tenant: request.message.tenantID, .init(context, request.metadata))
            var response = Analytics_RetentionResponse()
            response.range = .init(answer.range)
            response.cohorts = zip(answer.value.starts, answer.value.cohorts.cohorts).map { start, cohort in
                var message = Analytics_Cohort()
                message.start = start
                message.size = cohort.size
                message.values = cohort.values
                return message
            }
            return response
        }
    }

    // MARK: Parameters

    private static func parameters(_ selection: Analytics_Selection) -> Parameters {
        var parameters = given([("from", selection.from), ("to", selection.to), ("tz", selection.timeZone)])
        for (name, values) in [
            ("type", selection.types), ("source", selection.sources), ("userId", selection.userIds),
            ("anonymousId", selection.anonymousIds), ("correlationId", selection.correlationIds),
        ] { parameters += values.map { (name: name, value: $0) } }
        for filter in selection.data { parameters += filter.values.map { (name: "data.\(filter.path)", value: $0) } }
        if selection.includeBots { parameters.append(("bots", "include")) }
        if selection.hasMaxAgeSeconds { parameters.append(("maxAge", String(selection.maxAgeSeconds))) }
        return parameters
    }

    /// Leaves out empty values: they mean "absent".
    private static func given(_ parameters: Parameters) -> Parameters { parameters.filter { !$0.value.isEmpty } }

    // MARK: Messages

    private static func points(_ buckets: [String], _ series: Timeseries.Series) -> [Analytics_Point] {
        zip(buckets, series.values).map { time, value in
            var point = Analytics_Point()
            point.time = time
            if let value = value.double { point.value = value }
            return point
        }
    }

    private static func series(_ buckets: [String], _ series: Timeseries.Series) -> Analytics_Series {
        var message = Analytics_Series()
        if let key = series.key?.text { message.key = key }
        message.points = points(buckets, series)
        if let total = series.total.double { message.total = total }
        return message
    }

    private static func steps(_ steps: [Funnel.Step]) -> [Analytics_FunnelStep] {
        steps.indices.map { index in
            var message = Analytics_FunnelStep()
            message.users = steps[index].users
            if let share = Funnel.shareOfFirst(steps, index) { message.shareOfFirst = share }
            if let share = Funnel.shareOfPrevious(steps, index) { message.shareOfPrevious = share }
            if let median = steps[index].medianSeconds { message.medianSeconds = median }
            if let p90 = steps[index].p90Seconds { message.p90Seconds = p90 }
            return message
        }
    }
}

extension Analytics_AnswerRange {
    init(_ range: DeskRange) {
        self.init()
        from = range.from
        to = range.to
        timeZone = range.timeZone
        asOf = range.asOf
        incompleteFrom = range.incompleteFrom ?? ""
    }
}

extension MetricValue {
    fileprivate var double: Double? {
        switch self {
        case .none: nil
        case .integer(let value): Double(value)
        case .double(let value): value
        }
    }
}

extension GroupKey {
    /// The key in JSON syntax, without the quotes of a string; `nil` for null.
    fileprivate var text: String? {
        switch self {
        case .null: nil
        case .boolean(let value): value ? "true" : "false"
        case .number(.integer(let value)): String(value)
        case .number(.double(let value)): "\(value)"
        case .text(let text): text.text
        }
    }
}
