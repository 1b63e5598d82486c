internal import AnalyticsJSON
internal import FoundationEssentials

/// CloudEvents 1.0 as native events. `id`, `source`, `type` and `data` keep their names, and `time` becomes `timestamp`. The extension
/// attributes `correlationid`, `userid`, `anonymousid` and `sessionid` become the optional fields. Other attributes go to `metadata` under
/// their names.
extension EventDraft {
    /// Structured mode: an event in the JSON format (CloudEvents JSON Event Format 1.0.2).
    init(cloudEvent members: borrowing JSONMembers) throws(Rejection) {
        self.init()
        var metadata = CloudEventMetadata(datacontenttype: nil, isBase64: members.has("data_base64"))
        var specversion: String?
        try members.each { (member) throws(Rejection) in
            if member.hasKey("specversion") {
                specversion = member.string
            } else if member.hasKey("data") {
                data = member.json
            } else if member.hasKey("data_base64") {
                guard let text = member.string else {
                    throw Rejection(field: "data_base64", code: .invalidType, message: "'data_base64' must be a string.")
                }
                data = JSONText(string: text)
            } else if member.hasKey("time") {
                timestamp = try FieldRules.timestamp(member, "time")
            } else if let value = member.string {
                try take(attribute: member.key, value, metadata: &metadata)
            } else if !member.isNull {
                metadata.add(member.key, member.json)
            }
        }
        try finishCloudEvent(specversion: specversion, metadata: metadata)
    }

    /// Binary mode: the attributes were HTTP headers, the body is the data (HTTP Protocol Binding 1.0.2, section 3.1).
    init(
        cloudEventAttributes attributes: [String: String], contentType: String?, body: PaddedBytes, parser: inout JSONParser
    ) throws(Rejection) {
        self.init()
        let encoding = DataEncoding(contentType: contentType, body: body)
        var metadata = CloudEventMetadata(datacontenttype: contentType, isBase64: encoding == .base64)
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) where name != "specversion" {
            if name == "time" {
                guard let time = Timestamp(rfc3339: value) else {
                    throw Rejection(field: "time", code: .invalidTimestamp, message: FieldRules.timestampHelp("time"))
                }
                timestamp = time
            } else {
                try take(attribute: name, value, metadata: &metadata)
            }
        }
        if body.count > 0 { data = try encoding.text(of: body, parser: &parser) }
        try finishCloudEvent(specversion: attributes["specversion"], metadata: metadata)
    }

    private mutating func take(attribute: String, _ value: String, metadata: inout CloudEventMetadata) throws(Rejection) {
        switch attribute {
        case "id": id = try FieldRules.checked(value, "id", limit: FieldRules.idLength)
        case "source": source = try FieldRules.checked(value, "source", limit: FieldRules.textLength)
        case "type": type = try FieldRules.checked(value, "type", limit: FieldRules.textLength)
        case "correlationid": correlationId = try FieldRules.checked(value, "correlationid", limit: FieldRules.textLength)
        case "userid": userId = try FieldRules.checked(value, "userid", limit: FieldRules.textLength)
        case "anonymousid": anonymousId = try FieldRules.checked(value, "anonymousid", limit: FieldRules.textLength)
        case "sessionid": sessionId = try FieldRules.checked(value, "sessionid", limit: FieldRules.textLength)
        default: metadata.add(attribute, JSONText(string: value))
        }
    }

    private mutating func finishCloudEvent(specversion: String?, metadata: CloudEventMetadata) throws(Rejection) {
        guard specversion == "1.0" else {
            throw Rejection(
                field: "specversion", code: specversion == nil ? .missingField : .invalidValue, message: "'specversion' must be \"1.0\".")
        }
        try FieldRules.require(id, "id")
        try FieldRules.require(source, "source")
        try FieldRules.require(type, "type")
        self.metadata = metadata.json
    }
}

/// The members of `metadata`. `datacontenttype` and `datacontentencoding` are set by the service and replace attributes of the same name:
/// the decoder behind the queue refuses duplicate keys.
private struct CloudEventMetadata {
    private var writer = JSONWriter()
    private let reserved: [(name: String, value: String)]

    init(datacontenttype: String?, isBase64: Bool) {
        reserved =
            (datacontenttype.map { [("datacontenttype", $0)] } ?? []) + (isBase64 ? [("datacontentencoding", "base64")] : [])
        writer.beginObject()
    }

    mutating func add(_ name: String, _ value: JSONText) {
        guard !reserved.contains(where: { $0.name == name }) else { return }
        writer.key(name)
        writer.json(value)
    }

    var json: JSONText? {
        var writer = writer
        for (name, value) in reserved {
            writer.key(name)
            writer.string(value)
        }
        writer.endObject()
        return writer.count > 2 ? JSONText(normalised: writer.text) : nil
    }
}

/// How the body of an event in binary mode is stored: JSON as JSON, other text as a string, anything else as base64, which `metadata`
/// records.
private enum DataEncoding {
    case json
    case text
    case base64

    init(contentType: String?, body: PaddedBytes) {
        let declared = contentType ?? "application/json"
        let mediaType = (declared.cutUTF8(atFirst: ";")?.before ?? declared[...]).lowercasedASCII().removingUTF8(" ", "\t")
        if mediaType.ends(withUTF8: "/json") || mediaType.ends(withUTF8: "+json") {
            self = .json
        } else if mediaType.starts(withUTF8: "text/"), String(validating: body.bytes, as: UTF8.self) != nil {
            self = .text
        } else {
            self = body.count > 0 ? .base64 : .text
        }
    }

    func text(of body: PaddedBytes, parser: inout JSONParser) throws(Rejection) -> JSONText {
        switch self {
        case .json:
            try parser.withValue(of: body, at: body.all, maximumDepth: EventLimits.maximumDepth) { (value) throws(Rejection) in
                value.json
            } fault: {
                Rejection(fault: $0, field: "data")
            }
        case .text: JSONText(string: body.string(at: body.all))
        case .base64: JSONText(string: Data(body.bytes).base64EncodedString())
        }
    }
}
