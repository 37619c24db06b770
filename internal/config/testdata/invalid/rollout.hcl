appliance {
  interface = "eth0"
}
rollout "good" {
  models    = ["snomD785"]
  firmware  = "10.1.226.16"
  canaries  = ["00:04:13:92:2d:24"]
  wave      = "25%"
  window    = ["22:00", "24:00"]
  downloads = 5
  bandwidth = "20Mbit/s"
  patience  = "30m"
}
rollout "good" { # ERROR: Duplicate block
  models   = ["snomD765"]
  firmware = "10.1.226.16"
}
rollout "not good" { # ERROR: Invalid name
  models   = ["snomD735"]
  firmware = "" # ERROR: Invalid firmware
}
rollout "bad" { # ERROR: Missing required argument
  models    = "snomD717" # ERROR: Wrong type
  canaries  = ["anna"]   # ERROR: Invalid MAC
  wave      = "150%"     # ERROR: Number out of range
  window    = ["22:00"]  # ERROR: Invalid window
  downloads = 0          # ERROR: Number out of range
  bandwidth = "20M"      # ERROR: Invalid bandwidth
  patience  = "1s"       # ERROR: Duration out of range
}
rollout "worse" {
  models    = ["snomD713"]
  firmware  = "10.1.226.16"
  canaries  = -1         # ERROR: Number out of range
  wave      = 0          # ERROR: Number out of range
  window    = ["24:59", "noon"] # ERROR: Invalid time of day
  bandwidth = "1kbit/s"  # ERROR: Bandwidth out of range
}
