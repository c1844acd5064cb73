# The formula for a Homebrew tap. A release fills in the checksums of its archives.
class Psp2falco < Formula
  desc "Carry Kubernetes PodSecurityPolicies over to Falco rules"
  homepage "https://github.com/psp2falco/psp2falco"
  version "0.1.0"
  license "Apache-2.0"

  on_macos do
    on_arm do
      url "https://github.com/psp2falco/psp2falco/releases/download/v0.1.0/psp2falco-darwin-arm64.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
    on_intel do
      url "https://github.com/psp2falco/psp2falco/releases/download/v0.1.0/psp2falco-darwin-amd64.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/psp2falco/psp2falco/releases/download/v0.1.0/psp2falco-linux-arm64.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
    on_intel do
      url "https://github.com/psp2falco/psp2falco/releases/download/v0.1.0/psp2falco-linux-amd64.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
  end

  def install
    bin.install "psp2falco"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/psp2falco.bash" => "psp2falco"
    zsh_completion.install "completions/psp2falco.zsh" => "_psp2falco"
    fish_completion.install "completions/psp2falco.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/psp2falco --version")
  end
end
