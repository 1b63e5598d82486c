import AnalyticsJSON

func refused(_ text: PaddedBytes) throws(JSONFault) {
    var parser = JSONParser()
    var kept: JSONMember?
    try parser.withMembers(of: text, at: text.all, maximumDepth: 1) { members in
        members.each { member in
            kept = member  // refused
        }
    }
    _ = kept?.isNull
}
