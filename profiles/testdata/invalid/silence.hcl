appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

network "office" {
  subnet  = "192.168.50.0/24"
  range   = ["192.168.50.100", "192.168.50.199"]
  exclude = ["192.168.50.1", "192.168.50.2"]
}

provisioning {
  scheme = "https"
}

silence "missing-https" {
  reason = "The certificate comes on Monday."
}

silence "idle-exclusion" {
  reason = "The list is the switch's, word for word."
}

silence "network-setting" {
  settings = ["DHCP", "netmask"] # WARNING: Silence without effect
  reason   = "Phones of the warehouse have fixed addresses."
}

silence "internal-setting" {
  phones = ["attic", "00:04:13:00:00:02", "nobody"] # WARNING: Silence without effect
  reason = "A test of ours."
}

silence "missing-file" {
  models = ["snomd785"]
  reason = "Copied at night."
}

silence "phone-type" { # WARNING: Silence without effect
  reason = "There is none, so far."
}

silence "setting-server" { # WARNING: Silence without effect
  reason = "There is none, and none shall say so: but of this one nobody knows."
}

profile "base" {
  default = true
  settings {
    dhcp           = true
    gateway        = "192.0.2.1"        # WARNING: Network setting beside DHCP
  }
}

model "snomD785" {
  firmware = "10.1.215.13"
}

model "snomD865" {
  firmware = "10.1.215.13" # WARNING: Missing file
}

phones "all" {
  for_each = ["attic", "barn", "cellar"]
  mac      = "00041300000${each.key + 1}"
  name     = each.value
  settings {
    mac = "000413" # WARNING: Internal setting
  }
}
