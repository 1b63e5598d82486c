internal import Foundation
internal import Synchronization

/// The time zones of the system's tzdata package. A zone is read on first use and cached.
public final class ZoneDatabase: Sendable {
    private let folder: String
    /// The tzdata release at the start of the process, such as `2025b`; `nil` if unknown.
    public let version: String?
    private let zones = Mutex<[ZoneName: ZoneRules]>([:])

    /// The system's zoneinfo folder.
    public static let system = ZoneDatabase(folder: "/usr/share/zoneinfo")

    public init(folder: String) {
        self.folder = folder
        version = Self.version(in: folder)
    }

    /// `nil` for an unknown zone. `UTC` is always known. The first call for a zone reads a file of a few KiB.
    public func rules(of name: ZoneName) -> ZoneRules? {
        if name == .utc { return .utc }
        if let rules = zones.withLock({ $0[name] }) { return rules }
        guard let bytes = FileManager.default.contents(atPath: "\(folder)/\(name)"), let rules = ZoneFile.rules(Array(bytes)) else {
            return nil
        }
        zones.withLock { zones in
            // About 30 KiB per zone.
            if zones.count >= Self.maximumZones { zones = [:] }
            zones[name] = rules
        }
        return rules
    }

    private static let maximumZones = 200

    private static func version(in folder: String) -> String? {
        // The first line of tzdata.zi: "# version 2025b".
        guard let file = FileHandle(forReadingAtPath: "\(folder)/tzdata.zi") else { return nil }
        defer { try? file.close() }
        guard let start = try? file.read(upToCount: 64), let text = String(validating: start.prefix { $0 != 0x0A }, as: UTF8.self) else {
            return nil
        }
        return text.cutUTF8(atLast: " ").map { String($0.after) }
    }
}
