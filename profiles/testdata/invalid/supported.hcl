appliance {
  interface = "eth0"
  files_dir = "files"
}

profile "base" {
  default = true
  settings {
    locale = "de_DE" # some phone knows it
  }
}

model "snomD785" {
  settings {
    locale = "de_DE" # WARNING: Setting that no phone knows
  }
}

profile "old" {
  firmware = "8.7.5.35" # WARNING: Missing file
  settings {
    context_key        = [{ value = "keyevent F_REDIAL", idx = 0 }] # WARNING: Setting that no phone knows
    provisioning_order = "dhcp:stop"
  }
}

profile "mixed" {
  settings {
    context_key = [{ value = "keyevent F_REDIAL", idx = 0 }]
  }
}

phone "000413000001" {
  model   = "snom370"
  profile = "old"
}

phone "000413000002" {
  model    = "snom370"
  profile  = "mixed"
  firmware = "8.7.5.35" # WARNING: Missing file
}

phone "000413000003" {
  model    = "snomD785"
  profile  = "mixed"
  firmware = "10.1.215.13" # WARNING: Missing file
  settings {
    never_update_firm = true   # WARNING: Setting that no phone knows
    vlan              = "20 5" # WARNING: Setting that no phone knows
  }
}

phone "000413000004" {
  model = "snomM700"
  settings {
    ac_code            = "0000"
    sip_use_priority   = true # a setting of DECT bases that the catalogue has not
    subscr_dect_accode = "1"  # WARNING: Unknown setting
  }
}

phone "000413000005" {
  model = "snomD785"
  settings {
    ac_code = "0000" # WARNING: Setting that no phone knows
  }
}
