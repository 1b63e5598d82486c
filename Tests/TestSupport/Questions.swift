package import AnalyticsCore

/// Questions with their selection's parts beside their own.
extension CountQuery {
    package init(
        project: ProjectID, types: [String] = [], sources: [String] = [], from: Timestamp? = nil, to: Timestamp? = nil,
        grouping: Grouping = .type, limit: Int = CountQuery.defaultLimit
    ) {
        self.init(Selection(project: project, types: types, sources: sources, from: from, to: to), grouping: grouping, limit: limit)
    }
}
