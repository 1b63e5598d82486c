/// An account and the network of a client, by which attempts to sign in are counted.
struct AccountPlace: Hashable, Sendable {
    /// The id that the account has if it exists. Empty for a text that is no address.
    let account: String
    let network: [UInt8]

    init(account: String, address: String) {
        self.account = account
        network = ClientAddress.network(of: address)
    }
}
