appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

profile "base" {
  default = true
  settings {
    language = "Deutsch"
  }
}

rollout "first" { # ERROR: Canary outside of the rollout
  models   = ["snomD785", "toaster"] # ERROR: Invalid model
  firmware = "10.1.226.16" # WARNING: Missing file
  canaries = ["00:04:13:92:2d:24", "00:04:13:92:2d:25"]
}

rollout "second" {
  models   = ["SNOMd785"] # ERROR: Model in two rollouts
  firmware = "10.1.226.16"
}

rollout "third" {
  models   = ["snomD713"]
  firmware = "latest.bin" # ERROR: Firmware without a version
}

rollout "fourth" {
  models   = ["snomD717"]
  firmware = "../image.bin" # ERROR: Invalid firmware
}

phone "00:04:13:92:2d:24" {
  name  = "in"
  model = "snomD785"
}

phone "00:04:13:92:2d:25" {
  name     = "out"
  model    = "snomD785"
  firmware = "10.1.215.13" # WARNING: Missing file
}

rollout "fifth" { # WARNING: All phones are canaries
  models   = ["snomD735", "snomD735"] # ERROR: Model named twice
  firmware = "http://example.com/snomD735-10.1.226.16-SIP-r.bin"
  canaries = 2
}

phone "00:04:13:92:2d:26" {
  model = "snomD735"
}

phone "00:04:13:92:2d:27" {
  model = "snomD735"
}

model "snomD765" {
  scheme = "tftp"
}

rollout "sixth" {
  models   = ["snomD765"] # WARNING: Rollout over TFTP
  firmware = "http://example.com/snomD765-10.1.226.16-SIP-r.bin"
}
