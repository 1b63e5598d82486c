internal import Foundation
internal import Synchronization

/// The time zones of this machine, which its tzdata package keeps up to date. Read when they are first asked for, and kept.
public final class ZoneDatabase: Sendable {
    private let folder: String
    /// The release of the data, such as `2025b`; `nil` where the machine does not say. As it was at the start, like the zones that are kept.
    public let version: String?
    private let zones = Mutex<[ZoneName: ZoneRules]>([:])

    /// The folder of the system.
    public static let system = ZoneDatabase(folder: "/usr/share/zoneinfo")

    public init(folder: String) {
        self.folder = folder
        version = Self.version(in: folder)
    }

    /// `nil` for a zone that the machine does not know. `UTC` is always known. Reads a file of a few KiB the first time.
    public func rules(of name: ZoneName) -> ZoneRules? {
        if name == .utc { return .utc }
        if let rules = zones.withLock({ $0[name] }) { return rules }
        guard let bytes = FileManager.default.contents(atPath: "\(folder)/\(name)"), let rules = ZoneFile.rules(Array(bytes)) else {
            return nil
        }
        zones.withLock { zones in
            // Some 30 KiB each.
            if zones.count >= Self.maximumZones { zones = [:] }
            zones[name] = rules
        }
        return rules
    }

    private static let maximumZones = 200

    private static func version(in folder: String) -> String? {
        // The first line of the source that comes with it: "# version 2025b".
        guard let file = FileHandle(forReadingAtPath: "\(folder)/tzdata.zi") else { return nil }
        defer { try? file.close() }
        guard let start = try? file.read(upToCount: 64), let text = String(validating: start.prefix { $0 != 0x0A }, as: UTF8.self) else {
            return nil
        }
        return text.cutUTF8(atLast: " ").map { String($0.after) }
    }
}
