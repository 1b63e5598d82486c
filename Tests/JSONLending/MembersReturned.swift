import AnalyticsJSON

func refused(_ text: PaddedBytes) throws(JSONFault) {
    var parser = JSONParser()
    let read = { (members: borrowing JSONMembers) -> Int in members.count }
    _ = try parser.withMembers(of: text, at: text.all, maximumDepth: 1, read)
    _ = try parser.withMembers(of: text, at: text.all, maximumDepth: 1) { (it: borrowing JSONMembers) -> JSONMembers in it }  // refused
}
