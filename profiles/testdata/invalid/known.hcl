appliance {
  interface = "eth0"
}

setting "my_setting" {
  meaning = "Something of a firmware of our own."
  values  = ["one", "two"]
}

setting "ntp_refresh_timer" {
  min = 60
}

setting "timezone" {
  values = { "XYZ+1" = "Nowhere", "GER+2" = "Moved" }
}

setting "ring_volume" { # ERROR: Invalid setting
  meaning = "How loud it rings."
  type    = "loudness"
}

setting "my_range" { # ERROR: Invalid setting
  min = 10
  max = 1
}

setting "my_range2" { # ERROR: Invalid setting
  min = 1
  max = 10
}

setting "my_setting" { # ERROR: Duplicate setting
  meaning = "Again."
}

setting "my-setting" { # ERROR: Invalid setting
  meaning = "A minus."
}

setting "my_code" {
  meaning = "Opens the door."
  secret  = true
  models  = ["snomD7*"]
  since   = "10.1"
  idx     = "list1"
  wording = "x" # ERROR: Unsupported argument
  values  = 3   # ERROR: Wrong type of value
}

profile "base" {
  default = true
  settings {
    my_setting        = "three" # WARNING: Wrong value
    my_seting         = "one"   # WARNING: Unknown setting
    ntp_refresh_timer = 10      # WARNING: Wrong value
    timezone          = "GER+2"
  }
}
