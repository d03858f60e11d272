"""What the tests of this package do for its rules, done for a user's."""
