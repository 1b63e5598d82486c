internal import AnalyticsCore
internal import ArgumentParser
internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1

/// Asks a running service. The questions and their parameters are those of the API, so nothing is defined here a second time.
struct Query: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a running service what happened.",
        usage: """
            analytics query <question> [<name>=<value> ...] [--bots exclude|include] [--body <json>] [--format table|json|csv] [--url <url>]
            """,
        discussion: """
            QUESTION is the last part of a route under /api/v1/analytics, or `counts`; parameters are those of the route (/docs lists them). \
            Examples:

              analytics query timeseries interval=hour tz=Europe/Berlin
              analytics query timeseries groupBy=type compare=previous --format csv
              analytics query topn dimension=data.plan metric=users n=20 from=2026-03-01T00:00:00Z
              analytics query uniques interval=week --bots include
              analytics query sessions interval=day gapMinutes=15
              analytics query funnels --body '{"steps":[{"types":["view"]},{"types":["order"]}]}'
              analytics query retention --body @retention.json --format csv
            """)

    enum Question: String, CaseIterable, ExpressibleByArgument {
        case timeseries
        case topn
        case uniques
        case sessions
        case funnels
        case retention
        case counts

        /// Whether it is sent as a JSON object, and not as parameters.
        var hasBody: Bool { self == .funnels || self == .retention }

        var path: String {
            self == .counts ? "/api/v1/events/counts" : "/api/v1/analytics/\(rawValue)"
        }
    }

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table
        case json
        case csv
    }

    @Argument(help: "What to ask.")
    var question: Question

    @Argument(help: "Parameters of the question, as NAME=VALUE. A name may be repeated.")
    var parameters: [String] = []

    enum Bots: String, CaseIterable, ExpressibleByArgument {
        case exclude
        case include
    }

    @Option(help: "Whether events of known bots count; without it they do not, except in `counts`, which always has them.")
    var bots: Bots?
    @Option(help: "Of funnels and retention: the question as a JSON object, or @ and the name of a file with it.")
    var body: String?

    @Option(help: "How to print the answer.")
    var format = Format.table

    @Option(help: "Where the service is; by default on this machine, on PORT.")
    var url: String?

    func validate() throws {
        for parameter in parameters where !parameter.containsUTF8("=") {
            throw ValidationError("'\(parameter)' is no parameter: write NAME=VALUE, such as interval=hour")
        }
        if bots == .exclude, question == .counts { throw ValidationError("'counts' always has the events of bots") }
        guard question.hasBody == (body != nil), body == nil || (parameters.isEmpty && bots == nil) else {
            throw ValidationError(
                question.hasBody
                    ? "\(question.rawValue) takes --body, a JSON object, and nothing else"
                    : "\(question.rawValue) takes NAME=VALUE, and no --body")
        }
    }

    func run() async throws {
        let settings = try await CommandSettings.read()
        let base = url ?? "http://127.0.0.1:\(settings.server.port)"
        var request = HTTPClientRequest(url: base + question.path + Self.query(parameters + botParameter))
        request.headers.add(name: "accept", value: "application/json")
        if let body {
            request.method = .POST
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(string: try Self.text(of: body)))
        }
        let response: HTTPClientResponse
        do {
            response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        } catch {
            throw CommandFailure(
                "no answer from \(base): \(error). Is the service running? `analytics serve` starts one; --url names another")
        }
        let body = Data(try await response.body.collect(upTo: 256 << 20).readableBytesView)
        guard response.status == .ok else { throw CommandFailure(Self.problem(body) ?? "the service answered \(response.status)") }
        print(format == .json ? String(decoding: body, as: UTF8.self) : try AnswerTable(body).text(format))
    }

    private var botParameter: [String] {
        guard let bots, question != .counts else { return [] }
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
        var allowed = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: Unicode.Scalar(0)..<Unicode.Scalar(128)))
        allowed.insert(charactersIn: "-._~:")
        let pairs = parameters.compactMap { $0.cutUTF8(atFirst: "=") }.map { name, value in
            [name, value].map { String($0).addingPercentEncoding(withAllowedCharacters: allowed) ?? "" }.joined(separator: "=")
        }
        return pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")
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

    /// Of whichever question: by what is in the answer.
    init(_ answer: Data) throws {
        guard let object = try JSONSerialization.jsonObject(with: answer) as? [String: Any] else {
            throw CommandFailure("the service's answer is no JSON object")
        }
        if let steps = object["steps"] as? [[String: Any]] {
            self.init(funnel: object, steps)
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
                for name in ["users", "medianSeconds", "p90Seconds", "eventsPerSession", "bounceRate"] {
                    columns.append((name, more[name] ?? []))
                }
            }
            if let earlier = object["compare"] as? [String: Any] {
                columns.append(("compared bucket", earlier["buckets"] as? [Any] ?? []))
                add(earlier, " (compared)")
            }
            columns.insert(("bucket", buckets), at: 0)
            // A range may have a bucket more than the one it is compared with.
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

    /// A row for each step, of all users and then of each group.
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

    /// Columns side by side; what would steer a terminal is escaped.
    private var aligned: String {
        let cells = ([columns] + rows).map { $0.map(TerminalText.printable) }
        let widths = columns.indices.map { column in cells.map { $0[column].unicodeScalars.count }.max() ?? 0 }
        return cells.map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.unicodeScalars.count)
                return column == 0 ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
