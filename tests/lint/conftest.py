# SPDX-License-Identifier: Apache-2.0
collect_ignore = ["cases"]      # small bad trees; the tests in them are no tests of ours
