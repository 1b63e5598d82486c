import AnalyticsJSON

/// What is lent is read, and copies leave.
func allowed(_ text: PaddedBytes) throws(JSONFault) -> (name: String?, all: [JSONText]) {
    var parser = JSONParser()
    let result = try parser.withMembers(of: text, at: text.all, maximumDepth: 1) { members in
        var all: [JSONText] = []
        members.each { member in
            if members.count > 0, !member.isNull { all.append(member.json) }
        }
        return (members.string("name"), all)
    }
    return try parser.withMembers(of: text, at: text.all, maximumDepth: 1) { _ in result }
}
