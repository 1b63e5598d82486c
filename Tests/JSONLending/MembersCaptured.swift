import AnalyticsJSON

private func keep(_ body: @escaping () -> Void) {}

func refused(_ text: PaddedBytes) throws(JSONFault) {
    var parser = JSONParser()
    try parser.withMembers(of: text, at: text.all, maximumDepth: 1) { (members: borrowing JSONMembers) -> Void in  // refused
        keep { _ = members.count }
    }
}
