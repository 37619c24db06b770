appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

network "office" {
  subnet  = "192.168.50.0/24"
  range   = ["192.168.50.100", "192.168.50.199"]
  routers = ["192.168.50.1"]
  host "02:00:5e:10:00:01" {
    address = "192.168.50.10"
  }
}

profile "desk" {
  settings {
    language  = { value = "Deutsch", perm = "rw" } # ERROR: Invalid permission flag
    timezone  = { value = "GER+1", prem = "RW" }   # ERROR: Unknown part of a setting
    locale    = { perm = "RW" }                    # ERROR: Setting without a value
    codec_tos = { value = 184, idx = -1 }          # ERROR: Invalid index
    ring      = { value = 184, idx = 1.5 }         # ERROR: Invalid index
    melody    = [["a"]]                            # ERROR: Wrong type of value
    lists     = { value = [1, 2], idx = 3 }        # ERROR: Wrong type of value
    objects   = { value = { value = 1 } }          # ERROR: Wrong type of value
    tone-type = "GER"                              # ERROR: Invalid setting name
    größe     = 1                                  # ERROR: Invalid setting name
    bell      = "a\u0007"                          # ERROR: Character that no document can hold
    nonchar   = "a\uffff"                          # ERROR: Character that no document can hold
    big       = 1e99 * 1e99 * 1e99 * 1e99            # ERROR: Wrong type of value
    twice     = [{ value = 1, idx = 1 }, { value = 2, idx = 1 }] # ERROR: Duplicate setting # WARNING: Unknown setting
    absent    = null
    none      = [null, "second"]              # WARNING: Unknown setting
    flag      = { value = true, perm = null } # WARNING: Unknown setting
    dynamic "x" { # ERROR: Unexpected "dynamic" block
      for_each = [1]
      content {}
    }
  }
  settings {
    context_key       = [{ xml = "a</xml><xml>" }]       # ERROR: Malformed XML
    context_key_label = [{ xml = "a", value = "b" }] # ERROR: Setting without a value
    absent = 1 # WARNING: Unknown setting
    flag   = 1 # ERROR: Duplicate setting
  }
}

phone "000413000001" {
  profile = "desk"
}
