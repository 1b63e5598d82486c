internal import AnalyticsCore
internal import ArgumentParser
internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1

/// Sends a question to a running service. Questions and parameters are those of the API and are not defined here again.
struct Query: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a running service a question.",
        usage: """
            analytics query <question> [<name>=<value> ...] [--bots exclude|include] [--body <json>] [--format table|json|csv] [--url <url>] \
            [--key <key>] [--ca <ca>]
            """,
        discussion: """
            QUESTION is the last part of a route under /api/v1/analytics, `counts`, `pipeline`, or `user`, whose id is a parameter. Parameters are those of the route (see /docs). \
            Examples:

              analytics query timeseries interval=hour tz=Europe/Berlin
              analytics query timeseries groupBy=type compare=previous --format csv
              analytics query topn dimension=data.plan metric=users n=20 from=2026-03-01T00:00:00Z
              analytics query uniques interval=week --bots include
              analytics query sessions interval=day gapMinutes=15
              analytics query funnels --body '{"steps":[{"types":["view"]},{"types":["order"]}]}'
              analytics query retention --body @retention.json --format csv
              analytics query lifecycle interval=week
              analytics query stickiness from=2026-03-01T00:00:00Z
              analytics query paths start=view groupBy=data.page steps=3
              analytics query people --body '{"question":"lifecycle","bucket":"2026-03-01T00:00:00Z","state":"new"}'
              analytics query user id=ann
              analytics query pipeline from=2026-03-01T11:00:00Z
            """)

    enum Question: String, CaseIterable, ExpressibleByArgument {
        case timeseries
        case topn
        case uniques
        case sessions
        case funnels
        case retention
        case lifecycle
        case stickiness
        case paths
        case people
        case user
        case counts
        case pipeline

        /// Whether its answer always includes events of bots.
        var hasBots: Bool { self == .counts || self == .pipeline }
        /// Whether it is sent as a JSON object instead of parameters.
        var hasBody: Bool { self == .funnels || self == .retention || self == .people }
    }

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table
        case json
        case csv
    }

    @Argument(help: "The question.")
    var question: Question

    @Argument(help: "Parameters of the question, as NAME=VALUE. A name may be repeated.")
    var parameters: [String] = []

    enum Bots: String, CaseIterable, ExpressibleByArgument {
        case exclude
        case include
    }

    @Option(help: "Whether events of known bots count. By default they do not; in `counts` and `pipeline` they always do.")
    var bots: Bots?
    @Option(help: "For funnels, retention and people: the question as a JSON object, or @ and the name of a file that has it.")
    var body: String?

    @Option(help: "How to print the answer.")
    var format = Format.table

    @Option(help: "The service's address; by default this machine at PORT.")
    var url: String?

    @OptionGroup var access: KeyOption
    @OptionGroup var trust: TrustOption

    func validate() throws {
        for parameter in parameters where !parameter.containsUTF8("=") {
            throw ValidationError("'\(parameter)' is not a parameter: write NAME=VALUE, such as interval=hour")
        }
        guard parameters.count(where: { $0.starts(withUTF8: "id=") }) == (question == .user ? 1 : 0) else {
            throw ValidationError(question == .user ? "user takes one id=ID" : "only user has the parameter 'id'")
        }
        if bots == .exclude, question.hasBots { throw ValidationError("'\(question.rawValue)' always includes events of bots") }
        guard question.hasBody == (body != nil), body == nil || (parameters.isEmpty && bots == nil) else {
            throw ValidationError(
                question.hasBody
                    ? "\(question.rawValue) takes --body, a JSON object, and nothing else"
                    : "\(question.rawValue) takes NAME=VALUE, and no --body")
        }
    }

    func run() async throws {
        let settings = try await CommandSettings.read()
        let base = url ?? settings.server.localAddress
        let configuration = try trust.configuration(isLocal: url == nil)
        var request = HTTPClientRequest(url: base + path)
        request.headers.add(name: "accept", value: "application/json")
        if let key = try await access.key() { request.headers.add(name: "authorization", value: "Bearer \(key)") }
        if let body {
            request.method = .POST
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: try Self.text(of: body)))
        }
        let answer: (status: HTTPResponseStatus, body: Data)
        do {
            answer = try await HTTPClient.withHTTPClient(configuration: configuration) { client in
                let response = try await client.execute(request, timeout: .seconds(60))
                return (response.status, Data(try await response.body.collect(upTo: 256 << 20).readableBytesView))
            }
        } catch {
            throw CommandFailure(
                "no answer from \(base): \(error). Is the service running? `analytics serve` starts one; --url names another")
        }
        guard answer.status == .ok else {
            throw CommandFailure(Self.problem(answer.body) ?? "the service answered \(answer.status)")
        }
        print(format == .json ? String(decoding: answer.body, as: UTF8.self) : try AnswerTable(answer.body).text(format))
    }

    /// The path of the question, with its query.
    var path: String {
        let ids = parameters.filter { $0.starts(withUTF8: "id=") }.map { Self.encoded($0.trimmingUTF8(first: 3)) }
        let others = parameters.filter { question != .user || !$0.starts(withUTF8: "id=") }
        let path =
            switch question {
            case .counts: "/api/v1/events/counts"
            case .pipeline: "/api/v1/pipeline"
            case .user: "/api/v1/users/" + ids.joined(separator: ",")
            default: "/api/v1/analytics/\(question.rawValue)"
            }
        return path + Self.query(others + botParameter)
    }

    private var botParameter: [String] {
        guard let bots, !question.hasBots else { return [] }
        return ["bots=\(bots.rawValue)"]
    }

    private static func text(of body: String) throws -> String {
        guard body.starts(withUTF8: "@") else { return body }
        let name = body.trimmingUTF8(first: 1)
        do { return try String(contentsOfFile: name, encoding: .utf8) } catch {
            throw CommandFailure("\(name) cannot be read: \(error.localizedDescription)")
        }
    }

    private static func query(_ parameters: [String]) -> String {
        let pairs = parameters.compactMap { $0.cutUTF8(atFirst: "=") }.map { name, value in
            [name, value].map { encoded(String($0)) }.joined(separator: "=")
        }
        return pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")
    }

    private static func encoded(_ text: String) -> String {
        var allowed = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: Unicode.Scalar(0)..<Unicode.Scalar(128)))
        allowed.insert(charactersIn: "-._~:")
        return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
    }

    private static func problem(_ body: Data) -> String? {
        (try? JSONSerialization.jsonObject(with: body) as? [String: Any])?["detail"] as? String
    }
}

/// An answer as rows and columns.
struct AnswerTable {
    var columns: [String]
    var rows: [[String]]

    init(columns: [String], rows: [[String]]) {
        self.columns = columns
        self.rows = rows
    }

    /// Chooses the table by the members of the answer.
    init(_ answer: Data) throws {
        guard let object = try JSONSerialization.jsonObject(with: answer) as? [String: Any] else {
            throw CommandFailure("the service's answer is not a JSON object")
        }
        if let steps = object["steps"] as? [[String: Any]], steps.first?["nodes"] != nil {
            self.init(paths: steps)
        } else if let steps = object["steps"] as? [[String: Any]] {
            self.init(funnel: object, steps)
        } else if let people = object["people"] as? [[String: Any]] {
            let kinds = ["userId", "anonymousId", "visitorId"]
            self.init(
                columns: ["id", "kind", "first", "last", "events"],
                rows: people.map { person in
                    let kind = kinds.first { person[$0] != nil } ?? ""
                    return [Self.text(person[kind]), kind] + ["first", "last", "events"].map { Self.text(person[$0]) }
                } + [["(total)", "", "", "", Self.text(object["total"])]])
        } else if let values = object["values"] as? [[String: Any]] {
            let names = ["intervals", "users", "atLeast"]
            self.init(columns: names, rows: values.map { value in names.map { Self.text(value[$0]) } })
        } else if let types = object["types"] as? [[String: Any]] {
            self.init(
                columns: ["type", "events"],
                rows: types.map { [Self.text($0["type"]), Self.text($0["events"])] }
                    + [["(other)", Self.text(object["otherTypes"])], ["(total)", Self.text(object["events"])]])
        } else if let minutes = object["minutes"] as? [[String: Any]] {
            self.init(pipeline: object, minutes)
        } else if let cohorts = object["cohorts"] as? [[String: Any]] {
            let periods = (cohorts.first?["values"] as? [Any])?.count ?? 0
            self.init(
                columns: ["cohort", "size"] + (0..<periods).map { "period \($0)" },
                rows: cohorts.map { cohort in
                    [Self.text(cohort["start"]), Self.text(cohort["size"])] + (cohort["values"] as? [Any] ?? []).map { Self.text($0) }
                })
        } else if let buckets = object["buckets"] as? [String] {
            var columns: [(String, [Any])] = []
            func add(_ part: [String: Any], _ suffix: String) {
                for series in part["series"] as? [[String: Any]] ?? [] {
                    columns.append((Self.name(series["name"]) + suffix, series["values"] as? [Any] ?? []))
                }
                if let other = part["other"] as? [String: Any] { columns.append(("(other)\(suffix)", other["values"] as? [Any] ?? [])) }
            }
            add(object, "")
            if let values = object["values"] as? [Any] { columns.append((object["sessions"] == nil ? "users" : "sessions", values)) }
            if let more = object["series"] as? [String: [Any]] {
                for name in [
                    "users", "medianSeconds", "p90Seconds", "eventsPerSession", "bounceRate", "new", "returning", "resurrecting", "dormant",
                ] {
                    if let values = more[name] { columns.append((name, values)) }
                }
            }
            if let earlier = object["compare"] as? [String: Any] {
                columns.append(("compared bucket", earlier["buckets"] as? [Any] ?? []))
                add(earlier, " (compared)")
            }
            columns.insert(("bucket", buckets), at: 0)
            // The compared range may have a different number of buckets.
            let count = columns.map(\.1.count).max() ?? 0
            self.init(
                columns: columns.map(\.0),
                rows: (0..<count).map { index in columns.map { $0.1.indices.contains(index) ? Self.text($0.1[index]) : "" } })
        } else if let items = object["items"] as? [[String: Any]] {
            var rows = items.map { [Self.name($0["key"]), Self.text($0["value"]), Self.text($0["share"])] }
            rows.append(["(other)", Self.text(object["other"]), ""])
            rows.append(["(total)", Self.text(object["total"]), ""])
            self.init(columns: ["key", "value", "share"], rows: rows)
        } else if let counts = object["counts"] as? [String: Any] {
            let sorted = counts.map { ($0, ($1 as? NSNumber)?.int64Value ?? 0) }.sorted { $0.1 != $1.1 ? $0.1 > $1.1 : $0.0 < $1.0 }
            self.init(
                columns: ["group", "events"],
                rows: sorted.map { [$0, "\($1)"] } + [["(other)", Self.text(object["other"])], ["(total)", Self.text(object["total"])]])
        } else {
            throw CommandFailure("this answer has no table; ask with --format json")
        }
    }

    /// One row per step, first for all users, then for each group.
    private init(funnel answer: [String: Any], _ steps: [[String: Any]]) {
        var groups: [(name: String, steps: [[String: Any]])] = [("(all)", steps)]
        for group in answer["groups"] as? [[String: Any]] ?? [] {
            groups.append((Self.name(group["key"]), group["steps"] as? [[String: Any]] ?? []))
        }
        if let other = answer["other"] as? [String: Any] { groups.append(("(other)", other["steps"] as? [[String: Any]] ?? [])) }
        let members = ["users", "shareOfFirst", "shareOfPrevious", "medianSeconds", "p90Seconds"]
        self.init(
            columns: ["group", "step"] + members,
            rows: groups.flatMap { name, steps in
                steps.enumerated().map { number, step in [name, "\(number + 1)"] + members.map { Self.text(step[$0]) } }
            })
    }

    /// One row per edge, and one per key at which paths begin.
    private init(paths steps: [[String: Any]]) {
        func rows(_ step: [String: Any], _ list: [[String: Any]], _ others: Any?, _ ends: ([String: Any]) -> [String]) -> [[String]] {
            let number = Self.text(step["step"])
            let listed = list.map { [number] + ends($0) + [Self.text($0["paths"]), Self.text($0["users"])] }
            return (others as? NSNumber)?.int64Value == 0 ? listed : listed + [[number, "", "(other)", Self.text(others), ""]]
        }
        self.init(
            columns: ["step", "from", "to", "paths", "users"],
            rows: steps.flatMap { step in
                (step["step"] as? NSNumber)?.int64Value == 0
                    ? rows(step, step["nodes"] as? [[String: Any]] ?? [], step["otherNodes"]) { ["", Self.name($0["key"])] }
                    : rows(step, step["edges"] as? [[String: Any]] ?? [], step["otherEdges"]) {
                        [Self.name($0["from"]), Self.name($0["to"])]
                    }
            })
    }

    /// One row per minute, and one for the total. Rejections of all reasons are added up.
    private init(pipeline answer: [String: Any], _ minutes: [[String: Any]]) {
        let members = ["accepted", "stored", "duplicates", "deadLettered", "erased", "inFlight", "redelivered", "uncounted", "unconfirmed"]
        let total = (answer["total"] as? [String: Any] ?? [:]).merging(["minute": "(total)"]) { $1 }
        self.init(
            columns: ["minute"] + members + ["rejected"],
            rows: (minutes + [total]).map { minute in
                let rejected = (minute["rejected"] as? [String: NSNumber] ?? [:]).values.reduce(0) { $0 + $1.int64Value }
                return (["minute"] + members).map { Self.text(minute[$0]) } + ["\(rejected)"]
            })
    }

    private static func name(_ value: Any?) -> String { value is NSNull ? "(none)" : text(value) }

    private static func text(_ value: Any?) -> String {
        switch value {
        case nil, is NSNull: ""
        case let text as String: text
        case let value?: "\(value)"
        }
    }

    func text(_ format: Query.Format) -> String {
        format == .csv ? csv : aligned
    }

    /// RFC 4180.
    private var csv: String {
        ([columns] + rows).map { row in
            row.map { cell in
                cell.utf8.contains { ",\"\r\n".utf8.contains($0) }
                    ? "\"" + cell.splitUTF8("\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\"" : cell
            }.joined(separator: ",")
        }.joined(separator: "\r\n")
    }

    /// Aligned columns, with control characters escaped.
    private var aligned: String {
        let cells = ([columns] + rows).map { $0.map { TerminalText.printable($0) } }
        let widths = columns.indices.map { column in cells.map { $0[column].unicodeScalars.count }.max() ?? 0 }
        return cells.map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.unicodeScalars.count)
                return column == 0 ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
