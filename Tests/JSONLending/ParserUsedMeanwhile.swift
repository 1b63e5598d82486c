import AnalyticsJSON

func refused(_ text: PaddedBytes) throws(JSONFault) {
    var parser = JSONParser()
    try parser.withMembers(of: text, at: text.all, maximumDepth: 1) { members in  // refused
        _ = try? parser.withMembers(of: text, at: text.all, maximumDepth: 1) { $0.count }
    }
}
