//! Counting what test runners say of themselves.

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// One check that a step makes itself.
    pub(crate) fn check(ok: bool) -> Self {
        Self { passed: usize::from(ok), failed: usize::from(!ok) }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads the closing lines of `cargo test`, vitest and node's test runner.
    pub(crate) fn read(output: &str) -> Self {
        let mut tally = Self::default();
        for line in output.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("test result:") {
                tally
                    .add(Self { passed: before(rest, " passed"), failed: before(rest, " failed") });
            } else if let Some(rest) = line.strip_prefix("Tests ") {
                tally
                    .add(Self { passed: before(rest, " passed"), failed: before(rest, " failed") });
            } else if let Some(rest) = line.strip_prefix("# pass ").or(line.strip_prefix("ℹ pass "))
            {
                tally.passed += rest.trim().parse().unwrap_or(0);
            } else if let Some(rest) = line.strip_prefix("# fail ").or(line.strip_prefix("ℹ fail "))
            {
                tally.failed += rest.trim().parse().unwrap_or(0);
            }
        }
        tally
    }
}

/// The number right before `word`.
fn before(text: &str, word: &str) -> usize {
    text.split_once(word)
        .and_then(|(head, _)| head.rsplit([' ', '|']).next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn each_runner_is_counted() {
        let cargo = "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let vitest = "  Tests  1 failed | 40 passed (41)\n";
        let node = "# tests 7\n# pass 6\n# fail 1\n";
        let all = Tally::read(&format!("{cargo}{vitest}{node}"));
        assert_eq!(all, Tally { passed: 58, failed: 3 });
    }
}
