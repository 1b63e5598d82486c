internal import AnalyticsJSON

/// A function for targets, with the data for Grafana's query editor.
struct GraphiteFunction: Sendable {
    enum Kind: Sendable {
        case aggregateLine, alias, aliasByNode, aliasSub, constantLine, groupByNode, highest, seriesByTag, sumSeries, summarize, timeShift
    }

    struct Parameter: Sendable {
        var name: String
        /// A parameter type of graphite-web, `functions/params.py`.
        var type: String
        var suggestions: [String] = []
        var isRequired = true
        var isMultiple = false

        static let series = Parameter(name: "seriesList", type: "seriesList")
        static func sum(_ name: String) -> Parameter { Parameter(name: name, type: "aggFunc", suggestions: ["sum"]) }
    }

    var name: String
    /// A second name.
    var alias: String?
    var kind: Kind
    /// The group in Grafana's menu.
    var group: String
    var description: String
    var parameters: [Parameter]

    static let all: [GraphiteFunction] = [
        GraphiteFunction(
            name: "aggregateLine", kind: .aggregateLine, group: "Calculate",
            description: "The total of the whole range as a constant line. Each user counts once.", parameters: [.series, .sum("func")]),
        GraphiteFunction(
            name: "alias", kind: .alias, group: "Alias", description: "Gives series a name.",
            parameters: [.series, Parameter(name: "newName", type: "string")]),
        GraphiteFunction(
            name: "aliasByNode", kind: .aliasByNode, group: "Alias",
            description: "Names series by nodes of their names, numbered from 0, with ~ escapes decoded.",
            parameters: [.series, Parameter(name: "nodes", type: "node", isMultiple: true)]),
        GraphiteFunction(
            name: "aliasSub", kind: .aliasSub, group: "Alias", description: "Writes something around a name: \\1 is the name.",
            parameters: [
                .series, Parameter(name: "search", type: "string", suggestions: ["(^.*$)"]),
                Parameter(name: "replace", type: "string", suggestions: ["\\1"]),
            ]),
        GraphiteFunction(
            name: "constantLine", kind: .constantLine, group: "Special", description: "The same value everywhere.",
            parameters: [Parameter(name: "value", type: "float", suggestions: ["100"])]),
        GraphiteFunction(
            name: "groupByNode", kind: .groupByNode, group: "Combine",
            description: "Adds up the series that have the same text at a part of their names.",
            parameters: [.series, Parameter(name: "nodeNum", type: "node", suggestions: ["1", "2"]), .sum("callback")]),
        GraphiteFunction(
            name: "highest", kind: .highest, group: "Filter Series", description: "The series with the largest totals, the largest first.",
            parameters: [.series, Parameter(name: "n", type: "integer", suggestions: ["10"]), .sum("func")]),
        GraphiteFunction(
            name: "seriesByTag", kind: .seriesByTag, group: "Special",
            description: "The series of events with these tags: type, source and project.",
            parameters: [Parameter(name: "tagExpressions", type: "string", isMultiple: true)]),
        GraphiteFunction(
            name: "sumSeries", alias: "sum", kind: .sumSeries, group: "Combine", description: "Adds series up.",
            parameters: [Parameter(name: "seriesLists", type: "seriesList", isMultiple: true)]),
        GraphiteFunction(
            name: "summarize", kind: .summarize, group: "Transform",
            description: "Asks for series with longer buckets, by the clocks and the calendar of the project's zone.",
            parameters: [
                .series, Parameter(name: "intervalString", type: "interval", suggestions: ["1h", "1d", "1w", "1mon", "10min"]),
                Parameter(name: "func", type: "aggFunc", suggestions: ["sum"], isRequired: false),
                Parameter(name: "alignToFrom", type: "boolean", suggestions: ["false"], isRequired: false),
            ]),
        GraphiteFunction(
            name: "timeShift", kind: .timeShift, group: "Transform",
            description: "Series of an earlier time, drawn in the present range. Days and weeks are those of the calendar.",
            parameters: [.series, Parameter(name: "timeShift", type: "interval", suggestions: ["7d", "1d", "1h", "1mon"])]),
    ]

    /// All names, for an error message.
    static var list: String {
        all.map { function in function.alias.map { "\(function.name) (\($0))" } ?? function.name }.joined(separator: ", ")
    }
}

extension JSONWriter {
    /// In the format of graphite-web's `/functions`.
    mutating func graphiteFunction(_ function: GraphiteFunction) {
        key(function.name)
        beginObject()
        member("name", function.name)
        member("function", "\(function.name)(\(function.parameters.map(\.name).joined(separator: ", ")))")
        member("description", function.description)
        member("module", "analytics")
        member("group", function.group)
        key("params")
        beginArray()
        for parameter in function.parameters {
            beginObject()
            member("name", parameter.name)
            member("type", parameter.type)
            key("required")
            boolean(parameter.isRequired)
            key("multiple")
            boolean(parameter.isMultiple)
            if !parameter.suggestions.isEmpty {
                key("suggestions")
                beginArray()
                for suggestion in parameter.suggestions { string(suggestion) }
                endArray()
            }
            endObject()
        }
        endArray()
        endObject()
    }
}
