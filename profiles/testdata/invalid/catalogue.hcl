appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

model "snomD901" {
  identities      = "many"            # ERROR: Invalid identities
  keys            = 20000             # ERROR: Invalid keys
  phonebook_limit = -1                # ERROR: Invalid phonebook_limit
  login           = "ftp"             # ERROR: Invalid login
  image           = "{model}.bin"     # ERROR: Invalid image
  floor           = "ten"             # ERROR: Invalid floor
  macs            = ["AB", "1", "921"] # ERROR: Invalid macs
}

model "snomD902" {
  macs  = "AB"            # ERROR: Invalid macs
  image = "../{version}.bin" # ERROR: Invalid image
  modules = password("x") # ERROR: Secret in a public place
}

model "snomD903" {
  macs   = ["AB"] # ERROR: Invalid macs
  direct = true
  step { # ERROR: Step of a direct update
    image = "{model}-helper.bin"
  }
}

model "snomD904" {
  step { # ERROR: Invalid step
    from = "10"
  }
  step { # ERROR: Invalid step
    image   = "{model}-helper.bin"
    chained = true
    version = "1"
  }
  step { # ERROR: Invalid step
    image = "{model}.exe"
  }
  step {
    imgae = "{model}.bin" # ERROR: Unsupported argument
    image = "{model}.bin"
    below = "2"
    version = "2"
  }
}

model "snomD905" {
  step { # ERROR: Update without an end
    below   = "10.1"
    version = "8.9.3"
  }
}

model "snomD906" {
  handset "M65" { # ERROR: Handset of a desk phone
    firmware = "740.104"
  }
  module "" { # ERROR: Invalid module
    firmware = "1.6.1"
  }
  module "D7C" {
    firmware = "snomD7C-1.6.1-r.exe" # ERROR: Invalid firmware
  }
  module "D8C" { # ERROR: Missing required argument
  }
}

model "snomM900" {
  firmware = "https://files.example.org/M900.php" # ERROR: Invalid firmware
  handset "M65" {
    firmware = "M65_v0740_b0104.fwu" # ERROR: Invalid firmware
  }
  handset "M70" {
    firmware = "https://files.example.org/" # ERROR: Invalid firmware
  }
  module "UXM" { # ERROR: Module of a DECT base
    firmware = "https://files.example.org/snomUXM-2.1.1.bin"
  }
  module "D7C" { # ERROR: Second module
    firmware = "https://files.example.org/snomD7C-1.6.1-r.bin"
  }
}

model "snomD715" {
}

model "snom715" { # ERROR: Duplicate model
}
