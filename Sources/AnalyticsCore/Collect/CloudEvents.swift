internal import FoundationEssentials

/// CloudEvents 1.0 as native events: `id`, `source`, `type`, `data` are ours, `time` is `timestamp`, the extension attributes
/// `correlationid`, `userid` and `sessionid` are our optional fields, and every other attribute goes to `metadata` under its name.
extension EventDraft {
    /// Structured mode: an event in the JSON format (CloudEvents JSON Event Format 1.0.2).
    init(cloudEvent members: JSONMembers) throws(Rejection) {
        var metadata = JSONWriter()
        metadata.beginObject()
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
                metadata.member("datacontentencoding", "base64")
            } else if member.hasKey("time") {
                timestamp = try FieldRules.timestamp(member, "time")
            } else if let value = member.string {
                try take(attribute: member.key, value, metadata: &metadata)
            } else if !member.isNull {
                metadata.key(member.key)
                metadata.json(member.json)
            }
        }
        try finishCloudEvent(specversion: specversion, metadata: metadata)
    }

    /// Binary mode: the attributes were HTTP headers, the body is the data (HTTP Protocol Binding 1.0.2, section 3.1).
    init(
        cloudEventAttributes attributes: [String: String], contentType: String?, body: JSONSlice, parser: JSONParser
    ) throws(Rejection) {
        var metadata = JSONWriter()
        metadata.beginObject()
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
        metadata.member("datacontenttype", contentType)
        if body.count > 0 {
            data = try Self.binaryData(body, contentType: contentType ?? "application/json", parser: parser, metadata: &metadata)
        }
        try finishCloudEvent(specversion: attributes["specversion"], metadata: metadata)
    }

    private mutating func take(attribute: String, _ value: String, metadata: inout JSONWriter) throws(Rejection) {
        switch attribute {
        case "id": id = try FieldRules.checked(value, "id", limit: 128)
        case "source": source = try FieldRules.checked(value, "source", limit: 200)
        case "type": type = try FieldRules.checked(value, "type", limit: 200)
        case "correlationid": correlationId = try FieldRules.checked(value, "correlationid", limit: 200)
        case "userid": userId = try FieldRules.checked(value, "userid", limit: 200)
        case "sessionid": sessionId = try FieldRules.checked(value, "sessionid", limit: 200)
        default:
            metadata.key(attribute)
            metadata.string(value)
        }
    }

    private mutating func finishCloudEvent(specversion: String?, metadata: JSONWriter) throws(Rejection) {
        guard specversion == "1.0" else {
            throw Rejection(
                field: "specversion", code: specversion == nil ? .missingField : .invalidValue, message: "'specversion' must be \"1.0\".")
        }
        try FieldRules.require(id, "id")
        try FieldRules.require(source, "source")
        try FieldRules.require(type, "type")
        var metadata = metadata
        metadata.endObject()
        if metadata.count > 2 { self.metadata = JSONText(normalised: metadata.text) }
    }

    /// JSON stays JSON, other text becomes a string, the rest a base64 string that `metadata` names as such.
    private static func binaryData(
        _ body: JSONSlice, contentType: String, parser: JSONParser, metadata: inout JSONWriter
    ) throws(Rejection) -> JSONText {
        let mediaType = contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        if mediaType.hasSuffix("/json") || mediaType.hasSuffix("+json") {
            return try JSONText(validating: body, parser: parser)
        }
        let bytes = UnsafeRawBufferPointer(start: body.start, count: body.count)
        if mediaType.hasPrefix("text/"), let text = String(validating: bytes, as: UTF8.self) {
            return JSONText(string: text)
        }
        metadata.member("datacontentencoding", "base64")
        return JSONText(string: Data(bytes).base64EncodedString())
    }
}

extension JSONText {
    init(string: String) {
        var writer = JSONWriter()
        writer.string(string)
        self.init(normalised: writer.text)
    }

    /// Any JSON value, validated: read as the only member of an object.
    init(validating text: JSONSlice, parser: JSONParser) throws(Rejection) {
        var wrapped = PaddedBytes(reservingCapacity: text.count + 6)
        wrapped.append(Array("{\"\":".utf8))
        wrapped.append(UnsafeRawBufferPointer(start: text.start, count: text.count))
        wrapped.append(Array("}".utf8))
        do throws(JSONFault) {
            self = try wrapped.withUnsafeBytes { (slice) throws(JSONFault) in
                let members = try parser.members(of: slice, maximumDepth: EventLimits.maximumDepth + 1)
                let values = members.makeIterator()
                guard let first = values.next(), values.next() == nil else { throw JSONFault(code: .syntax) }
                return first.json
            }
        } catch {
            throw Rejection(fault: error, field: "data")
        }
    }
}
