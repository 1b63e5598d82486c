import AnalyticsJSON

func refused(_ text: PaddedBytes) throws(JSONFault) {
    var parser = JSONParser()
    var kept: JSONMembers?
    try parser.withMembers(of: text, at: text.all, maximumDepth: 1) { members in
        kept = members  // refused
    }
    _ = kept?.count
}
