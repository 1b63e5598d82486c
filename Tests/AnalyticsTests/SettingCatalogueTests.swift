import AnalyticsCore
import Foundation
import TestSupport
import Testing

@testable import analytics

/// The settings that the service reads are those that its files name, with the same defaults.
struct SettingCatalogueTests {
    private static let names = Set(SettingCatalogue.all.map(\.name))
    /// The settings that name a file with a secret.
    private static let fileNames = SettingCatalogue.all.filter(\.isSecret).map(\.fileName)

    private static func file(_ path: String) throws -> [String] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8).components(separatedBy: "\n")
    }

    /// Those with a default are assigned it; the others are commented out or explained beside another.
    @Test func envExampleNamesEachSettingWithItsDefault() throws {
        let lines = try Self.file(".env.example")
        let assigned = lines.compactMap { $0.wholeMatch(of: #/([A-Z_]+)=(.*)/#) }.map { (String($0.1), String($0.2)) }
        let commented = Set(lines.compactMap { $0.wholeMatch(of: #/\#([A-Z_]+)=.*/#) }.map { String($0.1) })
        let defaults = Dictionary(assigned) { first, _ in first }
        #expect(assigned.count == defaults.count, "one is assigned twice")
        for setting in SettingCatalogue.all where setting.name != "NODE_ENV" {
            let isCommented = commented.contains(setting.name)
            if isCommented {
                #expect(defaults[setting.name] == nil)
            } else {
                #expect(defaults[setting.name] == setting.documentedDefault && setting.documentedDefault != nil, "\(setting.name)")
            }
            // REDIS_PORT has a default that counts only with a host.
            #expect(isCommented == (setting.documentedDefault == nil || setting.name == "REDIS_PORT"), "\(setting.name)")
        }
        #expect(commented.union(defaults.keys) == Self.names.subtracting(["NODE_ENV"]).union(Self.fileNames))
        #expect(commented.isSuperset(of: Self.fileNames))
        #expect(lines.contains("#REDIS_PORT=\(SettingCatalogue.redisPort.standard)"))
    }

    /// A row per setting: `| NAME | default …`.
    @Test func configurationNamesEachSettingWithItsDefault() throws {
        let rows = try Self.file("docs/configuration.md").compactMap { $0.prefixMatch(of: #/\| `([A-Z_]+)` \| ([^ |]+)[^|]*\| /#) }
        let documented = Dictionary(
            rows.map { (String($0.1), String($0.2).trimmingCharacters(in: [":", ","])) }.filter { $0.1 != "RabbitMQ" && $0.1 != "MongoDB" },
            uniquingKeysWith: { "\($0) and \($1)" })
        for setting in SettingCatalogue.all { #expect(documented[setting.name] == setting.documentedDefault ?? "not", "\(setting.name)") }
        #expect(Set(documented.keys) == Self.names)
    }

    @Test func aSecretCanComeFromAFileAndConfigurationSaysSo() throws {
        #expect(
            Self.fileNames.sorted() == [
                "ADMIN_TOKEN_FILE", "ANALYTICS_KEY_FILE", "MONGODB_URI_FILE", "OIDC_CLIENT_SECRET_FILE", "RABBITMQ_URL_FILE",
                "REDIS_PASSWORD_FILE",
            ])
        let text = try Self.file("docs/configuration.md").joined(separator: "\n")
        for name in Self.fileNames { #expect(text.contains("`\(name)`"), "\(name)") }
    }

    /// Compose passes each setting, so that the environment and .env count there too. Not DATA_DIR, since nothing embedded runs there, not
    /// NODE_ENV, since APP_ENV is always set, and not ANALYTICS_KEY, which no service reads. Of the files of secrets not those
    /// of the backends, whose addresses are fixed. What it fixes to the default has to be the default.
    @Test func composePassesEachSetting() throws {
        let lines = try Self.file("docker-compose.yml").drop { $0 != "x-settings: &settings" }.dropFirst().prefix { !$0.isEmpty }
        let passed = lines.compactMap { $0.wholeMatch(of: #/  ([A-Z_]+):(.*)/#) }.map { (String($0.1), String($0.2)) }
        let expected = Self.names.subtracting(["DATA_DIR", "NODE_ENV", "ANALYTICS_KEY"])
            .union(["ADMIN_TOKEN_FILE", "OIDC_CLIENT_SECRET_FILE"])
        #expect(passed.map(\.0).sorted() == expected.sorted())
        let values = Dictionary(passed) { first, _ in first }
        #expect(
            values["PORT"] == " \"\(SettingCatalogue.port.standard)\""
                && values["REDIS_PORT"] == " \"\(SettingCatalogue.redisPort.standard)\"")
        #expect(values["ALLOWED_HOSTS"] == " api,processor${ALLOWED_HOSTS:+,${ALLOWED_HOSTS}}", "the names that others in the file ask by")
        #expect(values["APP_ENV"] == " ${APP_ENV:-\(SettingCatalogue.environment.documentedDefault ?? "")}")
        let fixed = Set(values.filter { !$0.value.isEmpty }.keys)
        #expect(
            fixed == [
                "HOST", "PORT", "ALLOWED_HOSTS", "OPERATIONS_PORT", "APP_ENV", "MONGODB_URI", "RABBITMQ_URL", "REDIS_HOST", "REDIS_PORT",
                "REDIS_PASSWORD",
            ],
            "the others are passed as they are")
    }

    @Test func aDefaultIsWhatTheServiceUsesAndIsAllowed() {
        #expect(Self.names.count == SettingCatalogue.all.count)
        func check<Value: Equatable>(_ setting: Setting<Value>) {
            if let text = setting.documentedDefault { #expect(setting.parse(text) == setting.standard, "\(setting.name)") }
        }
        for setting in SettingCatalogue.all {
            switch setting {
            case let setting as Setting<Int>: check(setting)
            case let setting as Setting<Bool>: check(setting)
            case let setting as Setting<String>: check(setting)
            default: break
            }
        }
        #expect(SettingCatalogue.logLevel.documentedDefault.flatMap(SettingCatalogue.logLevel.parse) != nil)
    }
}

/// Where a setting may be left out, a wrong value is still no value.
struct SettingTests {
    private func isRefused<Value>(_ setting: Setting<Value>, _ text: String) -> Bool {
        if case .none = setting.parse(text) { true } else { false }
    }

    @Test(arguments: ["localhost:27017", "http://x", "mongodb:/x", "amqpss://x", " amqp://x"])
    func anAddressNeedsItsScheme(text: String) {
        #expect(isRefused(SettingCatalogue.mongoURI, text) && isRefused(SettingCatalogue.rabbitURL, text))
        #expect(!isRefused(SettingCatalogue.mongoURI, "mongodb://x") && !isRefused(SettingCatalogue.rabbitURL, "amqp://x"))
        #expect(!isRefused(SettingCatalogue.rabbitURL, "amqps://x"))
    }

    @Test(arguments: [
        "analytics.example", "http://analytics.example", "https://analytics.example/x", "https://analytics.example?x", "https://",
        "https://user:pw@analytics.example", "ftp://localhost",
    ])
    func thePublicAddressIsAnOriginOfHTTPS(text: String) {
        #expect(isRefused(SettingCatalogue.publicURL, text))
        for right in ["https://analytics.example", "https://analytics.example:8443/", "http://localhost:4000", "http://[::1]:4000"] {
            #expect(!isRefused(SettingCatalogue.publicURL, right), "\(right)")
        }
    }

    @Test(arguments: [
        "id.example", "http://id.example", "https://id.example/?x", "https://id.example/" + String(repeating: "x", count: 237),
    ])
    func anIssuerIsAnAddressThatFitsAnAccount(text: String) {
        #expect(isRefused(SettingCatalogue.oidcIssuer, text))
        for right in ["https://id.example", "https://id.example/tenant/", "http://127.0.0.1:9000"] {
            #expect(!isRefused(SettingCatalogue.oidcIssuer, right), "\(right)")
        }
    }

    @Test(arguments: ["", "a b", "a:", "é"])
    func aHeaderHasAName(text: String) {
        #expect(isRefused(SettingCatalogue.countryHeader, text) && !isRefused(SettingCatalogue.countryHeader, "CF-IPCountry"))
    }

    @Test(arguments: ["a,", ",", "a:80", "http://a", "a/b", "é", "*", String(repeating: "a", count: 254)])
    func aHostHasANameWithoutAPort(text: String) {
        #expect(isRefused(SettingCatalogue.allowedHosts, text))
        #expect(SettingCatalogue.allowedHosts.parse("a.example.com, API,b_1") == ["a.example.com", "API", "b_1"])
    }

    @Test(arguments: ["", String(repeating: "x", count: 31), String(repeating: "x", count: 31) + " y", String(repeating: "é", count: 32)])
    func aTokenIsLongAndFitsIntoAHeader(text: String) {
        #expect(isRefused(SettingCatalogue.adminToken, text))
        #expect(!isRefused(SettingCatalogue.adminToken, String(repeating: "~", count: 32)))
    }

    @Test func aKeyIsWhole() {
        let key = APIKey(project: "shop", scope: .read).text
        #expect(SettingCatalogue.key.parse(key) == key)
        for wrong in [String(key.dropLast()), key + "0", "x" + key, " " + key] { #expect(isRefused(SettingCatalogue.key, wrong)) }
    }

    @Test(arguments: ["-1", "1.5", "x", " 1", "36501"])
    func aNumberLiesInItsRange(text: String) {
        #expect(isRefused(SettingCatalogue.retentionDays, text) && isRefused(SettingCatalogue.queryTimeout, text))
        #expect(!isRefused(SettingCatalogue.retentionDays, "0") && !isRefused(SettingCatalogue.queryTimeout, "600"))
    }
}
