import ArgumentParser

@main struct Analytics: AsyncParsableCommand {}
